"""The pytest plugin behind `stress.pytest_plugin`: scenario files as tests, and fixtures."""
