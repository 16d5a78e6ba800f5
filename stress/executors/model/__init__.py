"""The model executor: the bundled deduplication protocols as coroutines over stores in memory."""
