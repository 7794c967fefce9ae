"""Estimation of a blur kernel from the blurred photograph alone."""
