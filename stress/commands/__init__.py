"""Commands that have a module of their own; each defines ``command`` and is named in `stress.cli.LATER`."""
