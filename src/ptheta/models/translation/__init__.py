"""Models that carry an image over: to its partner, or into another domain."""
