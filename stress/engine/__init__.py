"""The engine: from cases to verdicts, by running schedules that schedulers choose on executors."""
