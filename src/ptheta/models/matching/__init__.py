"""Generators that are trained without a discriminator: by a distance of samples, or along a field
between them."""
