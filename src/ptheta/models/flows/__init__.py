"""Normalising flows: densities by a change of variables."""
