"""Progress display and signal handling."""
