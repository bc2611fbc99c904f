"""Drift detectors against each other: false alarms, delay, what is missed, and what it costs. See ``__main__.py``."""
