"""Scenario and target files: their models, their faults with places, and the JSON Schema of both."""
