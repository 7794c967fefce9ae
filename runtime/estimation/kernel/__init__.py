"""Estimation of one blur kernel: search, refinement from coarse to fine, learned prior, score."""
