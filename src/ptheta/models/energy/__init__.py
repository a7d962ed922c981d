"""Energy-based models: p(x) = exp(-E(x)) / Z, trained without knowing Z."""
