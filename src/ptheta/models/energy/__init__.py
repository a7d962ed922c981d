"""Models of an energy: p(x) = exp(-E(x)) / Z, whose Z nobody has to know to learn them."""
