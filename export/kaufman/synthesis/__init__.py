"""The synthesis network: the latent photograph, given the blurred one and its kernel."""
