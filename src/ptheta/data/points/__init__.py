"""Points whose density is known: toys for looking at what a model has learned."""
