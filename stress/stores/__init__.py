"""Stores: the embedded server, and which objects a command touches."""
