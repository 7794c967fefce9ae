"""Blind estimation: the blur of a photograph, estimated from the photograph alone.

* `kernel`: one kernel.
* `poses`: the poses of a camera that rolled.
* `motion`: a motion at each pixel, by a network.
"""
