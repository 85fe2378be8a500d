"""Where gradients come from: a virtual clock or real processes."""
