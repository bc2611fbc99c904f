"""What serving a model costs beside the model itself: ``make bench-models``."""
