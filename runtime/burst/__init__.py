"""Burst processing: reading, registration and fusion of frames.

* `frames`: the frames of a burst, opened one at a time and checked for equal shape and dtype.
* `sharpness`: which frame serves as the reference.
* `registration`: alignment of frames to a reference by a homography.
* `composition`: a frame in the exposure of the reference (`exposure`, `denoising`), and taken from the reference where
  it cannot be trusted: where it is unknown or clipped (`trust`), or contradicts the reference (`agreement`). `grid` has
  the coarse grid on which frames are compared.
* `loader`: frames registered in parallel, composed, and uploaded to the device.
* `engine`: a burst network run over whole frames, patch by patch.
"""
