"""Parts of normalising flows: transforms with an inverse and a log-determinant."""
