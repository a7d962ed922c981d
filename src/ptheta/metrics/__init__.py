"""The table of metrics, and the evaluation that follows from it."""
