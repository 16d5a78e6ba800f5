"""Explorers: each chooses the next actor of an order and learns from the trace. One file each, no I/O."""
