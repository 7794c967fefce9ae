"""Estimation of the poses of a camera that rolled while it shook."""
