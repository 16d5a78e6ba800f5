"""Processes: how those of a target come to be, end, and are seen to sleep; and probes around them."""
