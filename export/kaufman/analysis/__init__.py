"""The analysis network: the blur kernel of a photograph, from correlations of learned features."""
