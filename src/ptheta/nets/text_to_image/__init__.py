"""Networks that make an image of a caption, and what rates the two together; no losses."""
