"""What serving a prediction costs, against constant replies and other stacks: ``make bench``."""
