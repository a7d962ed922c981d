"""Toy point distributions with known densities."""
