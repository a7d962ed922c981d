"""Pairs: an input and a target that show the same thing, read from a source or made of images."""
