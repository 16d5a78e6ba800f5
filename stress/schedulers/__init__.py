"""Schedulers: each chooses the next actor of a schedule and learns from the trace. One file each, no I/O."""
