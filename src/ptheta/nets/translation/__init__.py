"""Networks from image to image, and what rates their images patch by patch; no losses."""
