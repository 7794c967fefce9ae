"""Estimation of a motion at each pixel by a network for patches."""
