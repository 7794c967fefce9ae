"""Burst processing: reading, registration and fusion of frames.

* `frames`: the frames of a burst, opened one at a time and checked for equal shape and dtype.
* `registration`: alignment of frames to a reference by a homography; sharpness of a frame.
* `loader`: frames registered in parallel and uploaded to the device.
* `engine`: a burst network run over whole frames, patch by patch.
"""
