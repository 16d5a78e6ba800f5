"""Flake triage: a test command run many times, plain, under contention and with another one; and what that says."""
