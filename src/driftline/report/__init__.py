"""The Evidently report: two windows of predictions in, a verdict and a page out."""
