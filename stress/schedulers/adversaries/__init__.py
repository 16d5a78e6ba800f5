"""Adversaries: schedulers with a victim, whose next step they make as late as it can do harm."""
