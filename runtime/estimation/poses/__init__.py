"""Estimation of the poses of a camera that rolled as it shook."""
