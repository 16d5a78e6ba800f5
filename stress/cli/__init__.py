"""The commands, one a module; each defines ``command`` and is named in `stress.cli.main.LATER`.

What a command needs for its work is imported when it runs, so that others start fast.
"""
