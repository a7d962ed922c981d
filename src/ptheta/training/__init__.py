"""Training: any game, any family, resumable at any moment."""
