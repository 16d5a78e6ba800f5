"""Scenario files as tests of pytest."""
