"""The promise: append-only segments on disk, one directory for each life of an API process."""
