"""The pages people look at, over the monitor's store: they read, and change nothing of it."""
