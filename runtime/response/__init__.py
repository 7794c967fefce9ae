"""From stored values to light and back: the response curve of a camera.

A sensor adds up light, so that blur is a convolution of light. What is stored follows a tone curve, which is steep in
the shadows. Undoing it before a deconvolution, and applying it after, makes the model of a convolution true.
"""

from runtime.response.curves import LINEAR, SRGB, Response, find_response

__all__ = ["LINEAR", "SRGB", "Response", "find_response"]
