"""What a photograph needs before its blur is estimated: a common range of values, and no foreign pixels.

* `white`: the value that counts as white, so that no decision depends on the scale of the values.
* `borders`: bars and frames of one colour around the photograph.
* `surroundings`: what is of one colour around a photograph of any other outline, such as a round one.
* `bars`: translucent bars, such as those behind captions, and what lies under them.
* `overlays`: sharp things on top of a blurred photograph: date stamps, logos, dead pixels.
* `layers`: translucent ones among them, such as watermarks, and what lies under those.
* `fill`: smooth values for unknown pixels.
* `photograph`: all of this for one image: `prepare`.
"""
