"""File utilities: atomic writes, paths, tensors, images."""
