"""Fuzzing: everything that reads an upstream's bytes, as targets that take any bytes."""
