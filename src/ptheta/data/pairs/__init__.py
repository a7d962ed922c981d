"""Pairs of an input and a target with the same content, read from a source or computed."""
