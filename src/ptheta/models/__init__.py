"""Models: the base class, the registry, and a folder for each family."""
