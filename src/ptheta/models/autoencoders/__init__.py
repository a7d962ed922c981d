"""Autoencoders, and the prior that is fitted to their codes."""
