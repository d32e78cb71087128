"""training/ makes the shipped task head and its embedder: corpus, labels, scripts.

Runs in no product. Never reads `benchmarks/routing`.
"""
