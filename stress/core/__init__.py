"""What everything else is built on: pure values, and the registries of what a file may name."""
