"""The pages of the lab: one file each, with a function `page(asked) -> Page`."""
