"""The HTTP process: predictions in, answers out, each kept in the outbox first."""
