"""The truth: committed segments of events, one JSON object a line, and a reader of them."""
