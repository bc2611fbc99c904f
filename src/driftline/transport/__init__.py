"""How batches travel from an outbox to a log, and how what is committed comes back."""
