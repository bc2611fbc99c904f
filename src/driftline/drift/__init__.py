"""Numbers in, numbers out: reference profiles, counts of windows, and what can be said of their difference."""
