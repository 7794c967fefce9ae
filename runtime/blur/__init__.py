"""Blurs: one kernel, the poses of a camera, or a motion at each pixel, and how they act on a photograph."""
