"""Training: independent of model families, and resumable at any step."""
