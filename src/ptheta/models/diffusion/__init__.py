"""Models that turn noise into examples in many small steps."""
