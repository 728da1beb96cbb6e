"""Errors of data and of usage."""

from __future__ import annotations


class DataError(ValueError):
    """Invalid data: a file, an array or a folder."""


class UsageError(ValueError):
    """An invalid request: an unknown name, or options that exclude each other."""
