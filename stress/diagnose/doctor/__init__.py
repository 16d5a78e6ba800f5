"""The doctor: faults of the surroundings, reported before a run, so that none of them is ever taken for a race."""
