"""Numbers in, numbers out: how good predictions were, by their outcomes, and how good they seem to be without them.

Everything is a function of counts that add up (:mod:`driftline.quality.tally`), so that any span, segment or model
version is a sum. Nothing here knows of a log, a file or a clock.
"""
