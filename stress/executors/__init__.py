"""Executors: they run schedules. `live` drives real processes, `model` resumes coroutines over memory."""
