"""Reproduce races in a Gateway by controlling the order of its store commands."""

__version__ = "0.1.0"
