"""Every measured threshold of a decision, in groups. `docs/thresholds.md` says how each was measured."""

from __future__ import annotations

import math
from typing import NamedTuple


class Logistic(NamedTuple):
    """A soft threshold: a probability that passes one half at `threshold` and rises or falls over `scale`."""

    threshold: float
    scale: float

    def above(self, value: float) -> float:
        """Return the probability, in [0, 1], that `value` lies above the threshold."""
        return _sigmoid((value - self.threshold) / self.scale)

    def below(self, value: float) -> float:
        """Return the probability, in [0, 1], that `value` lies below the threshold."""
        return _sigmoid((self.threshold - value) / self.scale)


def _sigmoid(value: float) -> float:
    # By tanh, which does not overflow.
    return 0.5 + 0.5 * math.tanh(0.5 * value)


# Whether an estimated kernel is accepted: the product of these probabilities is the confidence.
FLAT_RANGE = 1e-5
"""Range of the values, relative to the largest magnitude, up to which a photograph shows nothing but one value."""
SMOOTH = 0.1
"""Largest second difference over eight pixels, relative to the range, up to which a photograph has no edges."""
NOISY_BEND = 12.0
"""The same in units of the noise, which this adds at most, where it averages out over squares of these eight pixels."""
ONLY_NOISE = 1.2
"""Standard deviation of the values, relative to that of the noise, up to which a photograph shows nothing else."""
CONFIDENT = 0.5
"""Least confidence at which a photograph is changed."""
SHARP_EDGES = 0.57
"""Share of the contrast of edges within a pixel of their middle, from which on no blur is searched for."""
KERNEL_WIDTH = Logistic(1.3, 0.15)
"""Standard deviation of the kernel in pixels; below, it is taken for the edges of a sharp photograph."""
AGREEMENT = Logistic(0.75, 0.05)
"""Similarity of the hypotheses to their mean; decides only where no learned prior took part."""
PREDICTED_LOG_ERROR = Logistic(-0.5, 0.1)
"""Logarithm of the kernel's predicted relative error; above, the kernel is not worth trying."""
LIT_LOG_ERROR = Logistic(-1.4, 0.1)
"""The same where lights are clipped."""
UNEVENNESS = Logistic(1.6, 0.1)
"""Largest misfit of a part of the photograph over the median; above, no single kernel explains it."""
SPARSITY_RATIO = Logistic(0.85, 0.01)
"""Sparsity measure ``|g|_1 / |g|_2`` of the gradients after over before; above, nothing became clearer."""

# Which of several hypotheses about the kernel is taken.
LOG_ERROR_WEIGHT = 0.03
"""Weight of the predicted log error beside the cost of the kernel's score, where candidates are compared."""
ALLOWED_MISFIT = 0.003
"""Misfit of a right kernel, in units of the value range, when refinements of one kernel are compared."""
ALLOWED_MISFIT_BETWEEN_HYPOTHESES = 0.006
"""The same between hypotheses: a camera that turns a little does not blur alike everywhere."""
CLOSE_COST = 0.1
"""Hypotheses that cost at most this much more than the best go on to the next finer scale beside it ..."""
SAME_KERNEL = 0.85
"""... unless their similarity to the best is at least this: then they are the same kernel."""
MUCH_CHEAPER = 0.3
"""Difference in cost from which a certain kernel is taken for one of which a smaller error is predicted."""
STARTS_AGREE = 0.93
"""Similarity from which kernels that networks found at two sizes of the photograph, each polished, are the same."""
UNSURE_LOG_ERROR = -1.8
"""Logarithm of the predicted error of a kernel from which a second search with more effort follows."""
CERTAIN_LOG_ERROR = -2.0
"""The same, up to which a kernel that does not hold in some parts is taken for the rest ..."""
SUREST_LOG_ERROR = -2.75
"""... and up to which what motions and misfit say together does not rule it out."""

# Whether a restoration is accepted: predicted gain in PSNR (dB) over the blurred photograph.
PREDICTED_GAIN = Logistic(3.0, 0.2)
"""For one kernel, or the poses of a camera."""
VARYING_MOTION_GAIN = Logistic(6.0, 0.2)
"""For one kernel where the motions that a network sees vary, and the misfit is not even or they are too short, too."""
SHORT_MOTION_GAIN = Logistic(4.5, 0.2)
"""For one kernel where these motions are too short for it."""
LIGHT_GAIN = Logistic(2.6, 0.2)
"""For one kernel that light was blurred with."""
LITTLE_LIGHT_GAIN = 4.0
"""The same, up to which the photograph is restored as stored, too, and what promises more is taken."""
LIGHT_LESS_SURE = 0.25
"""By how much the predicted log error has to grow in light to speak against it ..."""
LIGHT_LESS_SPARSE = 0.01
"""... and by which share the sparsity measure of the gradients has to grow beside it."""
PROMISES_MORE = 0.6
"""Predicted gain in dB by which one of two restorations has to surpass the other for which more speaks otherwise."""
MUCH_GAIN = 4.5
"""Predicted gain in dB from which a doubtful kernel of a second search that explains all is taken after a refusal."""
LIGHT_UNEVENNESS = 1.75
"""Misfit of a part over the median of all, above which light is not taken for restored."""
REPAIRED_UNEVENNESS = 2.8
"""The same for any single kernel once its restoration is repaired."""
EVEN = 1.2
"""The same, up to which the kernel holds everywhere, also where the motion network sees motions that vary."""
MOTION_GAIN = Logistic(1.0, 0.2)
"""For a motion at each pixel."""
KERNEL_ERROR = 0.2
"""Euclidean norm of the error that deconvolution allows an estimated kernel, relative to the kernel's own."""
FULL_REPAIR_GAIN = Logistic(6.0, 1.5)
"""Predicted gain in dB above which less than half of the repair network's correction is applied."""

# When the motion network contradicts one kernel.
MOTION_VARIATION = 1.25
"""Standard deviation of the fitted camera motion over the photograph, in units of its expected error in one patch."""
NO_SINGLE_MOTION = 2.5
"""The same, multiplied by how unevenly a single kernel explains the photograph, from which none can be right."""
NO_SINGLE_MOTION_SURE = 3.0
"""The same where the misfit is even of a certain kernel, or of light before its repair."""
KERNEL_TO_MOTION_WIDTH = 2.5
"""Width of the kernel over the mean length of the motion."""

# Whether and how carefully an estimated motion field is undone.
LEAST_MOTION = 1.2
"""Motion in pixels beyond one that a tenth of the photograph must exceed for the field to be undone."""
MOTION_ERROR = 0.35
"""Largest expected error of a patch's motion, relative to that motion, for the field to be undone."""
MOTION_EXPLAINS = 1.2
"""Misfit, in units of the noise and `MOTION_MISFIT_FLOOR`, up to which a motion field explains the photograph ..."""
MOTION_EXPLAINS_PARTLY = 1.44
"""... and up to which it is undone without looking for one kernel or for poses first."""
UNEXPLAINED = 1.75
"""Misfit, in the same units, from which a motion is tried in place of the one kernel that leaves it."""
MUCH_LESS = 1.5
"""By what factor the misfit of the kernel exceeds that of the motion that takes its place."""
MOTION_MISFIT_FLOOR = 0.003
"""Misfit that any estimated motion leaves, in units of the value range."""
MOTION_NOISE_FACTOR = 4.0
"""Factor on the noise level when deconvolving with a motion field that explains the photograph ..."""
MOTION_NOISE_FACTOR_PARTLY = 8.0
"""... that explains it partly ..."""
MOTION_NOISE_FACTOR_POORLY = 16.0
"""... and that explains it poorly, where nothing else does better."""
MOTION_LOG_ERROR = -2.5
"""Logarithm of the relative error that the repair network is told a motion field has."""

# Whether the values of a photograph are light, or bent by a response curve.
RESPONSE_DARKNESS = 3e-4
"""Root mean square of restored light below 0, in units of white, that means nothing."""
RESPONSE_DARK = 3e-3
"""The same at one place, from which on it is asked which curve it speaks for."""
RESPONSE_SPARSITY_WEIGHT = 8.0
"""Weight of the logarithm of the gradients' sparsity beside that of the light below 0."""
RESPONSE_BENT = -1.6
"""Evidence from which the curve of sRGB is assumed ..."""
RESPONSE_MAYBE_BENT = -2.4
"""... and from which it is if the kernel that was found is as sure in light."""

# What the values of a photograph mean.
DIM = 0.5
"""A photograph whose brightest values stay below this share of the full scale is scaled up to it ..."""
BRIGHT = 1.05
"""... and one whose brightest values lie above this multiple of it, which floats can, is scaled down."""
PEDESTAL = 0.6
"""Share of the brightest values from which the darkest count as black: the photograph stands on a pedestal."""

# Which pixels count.
LEAST_CONNECTED = 0.1
"""Share of the known pixels of which neighbours are known too, below which no blur can be found."""
SATURATED = 0.98
"""Observed values from here on are taken for clipped: they have no part in any data term but that of the colours."""
LIT_SHARE = 0.005
"""Share of clipped pixels from which lights may have been blurred beyond white."""
PARTLY_SATURATED = 0.1
"""Share of pixels clipped in some colours, whose luminance is lost, from which each is deconvolved by itself ..."""
PARTLY_SATURATED_NOISY = 0.3
"""... the same where the colour differences have noise of their own, which spoils each colour by itself ..."""
PARTLY_SATURATED_LIGHT = 0.02
"""... and the same for light without such noise: near lamps each colour ends elsewhere."""

# Whether a frame of a burst shows the scene of the reference.
FRAME_CORRELATION = 0.5
"""Least correlation of the detail of two frames."""
FRAME_OVERLAP = 0.25
"""Least share of the reference that a frame shows."""
FRAME_SCALE = 2.0
"""Largest ratio of scales of two frames."""
FRAME_INLIERS = 12
"""Least number of matched features that agree on a homography."""
FRAME_ALIGNED = 0.25
"""A frame that is nowhere further off than this many pixels is not resampled."""

# How far a frame of a burst is used.
EQUAL_EXPOSURE = 0.02
"""Difference of tones, relative to the range, up to which frames count as equally exposed."""
UNEVEN_LIGHT = 0.02
"""Mean relative difference of the light over a frame from that over the reference, up to which they are lit alike."""
UNEXPLAINED_BY_LIGHT = 0.5
"""Share of the difference of two frames, at most, that the light leaves where it is what differs."""
NEARLY_CLIPPED = 0.94
"""Share of a frame's largest value from which its pixels are trusted less and less, up to `SATURATED`."""
FRAME_GAIN = 8.0
"""Largest factor by which a dark frame is brightened to the exposure of the reference."""
NOISY_GAIN = 1.5
"""Factor from which only what rises above its noise is taken from a frame that is brightened ..."""
NOISY_GAIN_ACCUMULATED = 1.05
"""... and the same where what is strongest in any frame counts, as noise is at high frequencies."""
FRAME_UNCLIPPED = 0.25
"""Least share of a frame that is not clipped."""
FRAME_CONTRADICTED = 0.01
"""Share of the reference that an aligned frame contradicts, from which it is aligned again by the rest."""
CONTRADICTION = 0.02
"""Difference of smooth block means, relative to the range, from which a frame contradicts the reference ..."""
CONTRADICTION_AT_EDGES = 0.5
"""... and what is added to it where both have an edge, in units of the difference between neighbouring blocks."""
