"""Vectors of texts, for whoever compares meanings: embedders, and the one worker thread that they run in."""
