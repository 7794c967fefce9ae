"""Thresholds that decide whether a photograph is changed, and the reasons that a caller is given."""
