"""Runs: the plan, the folder that training writes, the worker that writes it, sweeps."""
