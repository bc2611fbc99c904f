"""Looks over a whole installation, running or not, and says what is wrong and what to do about it."""
