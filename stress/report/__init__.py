"""Reporters: each writes down for somebody what happens in a run. One file each; they import values only."""
