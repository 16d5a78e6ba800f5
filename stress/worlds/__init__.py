"""Worlds: where a run happens. `model` resumes coroutines over memory, `wire` drives real processes. Same interface."""
