"""Computation utilities: threads, memory, random streams, tensor layout."""
