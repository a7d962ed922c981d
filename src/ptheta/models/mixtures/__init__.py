"""Mixtures of simple densities, one component or many, fitted in closed form or by EM."""
