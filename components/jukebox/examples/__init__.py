"""What the example pipelines import: producers of their sources, preprocessing, models and metrics."""
