"""Servers that are measured, each a module that is run as a process of its own."""
