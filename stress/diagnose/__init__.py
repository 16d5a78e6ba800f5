"""Diagnosis: what surrounds a run, why a test fails now and then, how much slower a command became."""
