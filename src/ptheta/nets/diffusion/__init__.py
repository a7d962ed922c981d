"""Networks of diffusion models: they see an example with noise, and how much of it there is."""
