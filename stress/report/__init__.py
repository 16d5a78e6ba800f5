"""Reporters: each reads what happens in a run and writes it down for somebody. One file each; they import values only."""
