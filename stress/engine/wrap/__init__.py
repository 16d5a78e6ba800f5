"""A user's own test as workload and check: its store commands are scheduled, its exit code is the verdict of a run."""
