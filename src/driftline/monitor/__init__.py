"""The process that follows the committed log and says what has changed, since when, and how much it matters."""
