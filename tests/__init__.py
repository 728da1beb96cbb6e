"""Tests: a folder for each room of the package, a file for each of its files."""
