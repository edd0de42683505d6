"""A Llama in NumPy: weights, mathematics, continuous batching, and one engine thread."""
