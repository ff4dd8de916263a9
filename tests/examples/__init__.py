"""The example pipelines' importable code."""
