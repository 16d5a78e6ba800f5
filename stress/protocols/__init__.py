"""Protocols: the gate, which parks commands and releases them, and one folder for each kind of store."""
