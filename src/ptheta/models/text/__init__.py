"""Models that make an image of a caption."""
