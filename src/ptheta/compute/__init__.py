"""What every layer may use to compute: threads, memory, random streams, layout."""
