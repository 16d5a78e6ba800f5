"""Figures: what a schedule costs, how surely it replays, what the gate adds, how plain concurrency compares."""
