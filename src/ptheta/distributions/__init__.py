"""Distributions over x and over codes, under one protocol; divergences between them."""
