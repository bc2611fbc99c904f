"""The command line: one file a command. Only this package reads settings and ends the process."""
