"""The results as the Markdown of docs/benchmarks-drift.md."""
def as_markdown(r): return ""
