"""Inputs that are broken or odd, killed commands and full disks; see tests/README.md."""
