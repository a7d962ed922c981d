"""Files that a reader never sees half written: atomic writes, paths, tensors, pictures."""
