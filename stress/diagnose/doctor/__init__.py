"""The doctor: faults of the surroundings, told before a run, so that none of them is ever taken for a race."""
