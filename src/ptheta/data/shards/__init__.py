"""Data that do not fit into memory: tar shards with an index, read in place or from an address."""
