"""Photographs, cameras and blur to train on.

* `photographs`: sharp crops on the device that trains; `crops`: sharp crops as NumPy arrays
* `camera`: over-exposure, tone curve, clipping and JPEG
* `trajectories`, `recorded_shake`: paths of a shaken camera; `kernels`: blur kernels of many kinds
* `rolls`: blur by a camera that rotates
* `synthesis`: blurred patches
"""
