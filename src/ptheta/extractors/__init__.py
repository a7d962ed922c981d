"""Extractors: images to the features that metrics see."""
