"""The decisions of a restoration.

* `thresholds`: the numbers that decide whether a photograph or frame is changed, used or rejected.
* `reasons`: the reasons reported for a photograph that is returned unchanged.
"""
