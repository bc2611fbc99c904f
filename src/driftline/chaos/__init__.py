"""The real thing under fire: an installation of its own, faults drawn from a seed, and a judge who reads the log."""
