"""Autoencoders with discriminators."""
