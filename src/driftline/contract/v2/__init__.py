"""The Open Inference Protocol (V2): tensors in, tensors out, and what a model says of them. Knows no HTTP."""
