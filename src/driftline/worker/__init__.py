"""The process that writes the log."""
