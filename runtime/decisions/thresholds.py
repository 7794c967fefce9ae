"""Every measured threshold of a decision."""

from __future__ import annotations


DECIDED = 0.5
"""Confidence from which the kernel is given."""
SHARP_WIDTH = 1.3
"""Standard deviation in pixels of a kernel that is as likely blur as it is the edges of a sharp photograph."""
SHARP_WIDTH_TOLERANCE = 0.15
LEAST_AGREEMENT = 0.75
"""Similarity of hypotheses that is as likely right as wrong."""
AGREEMENT_TOLERANCE = 0.05
LARGEST_LOG_ERROR, LOG_ERROR_TOLERANCE = -0.5, 0.1
"""Expected error from which on a kernel is not worth trying, and its scale: what comes of it is judged once more, by
`runtime.restoration.repair`, which sees the photograph.
"""
LARGEST_UNEVENNESS, UNEVENNESS_TOLERANCE = 1.6, 0.1
LARGEST_SPARSITY_GAIN, SPARSITY_GAIN_TOLERANCE = 0.85, 0.01
"""The same for what `runtime.estimation.kernel.judge.Verdict` says; photographs restored well stay under 1.3 and 0.75."""


KERNEL_ERROR = 0.2
"""Euclidean norm of the error of an estimated kernel, relative to its own.

Measured on six training photographs under synthetic blur, with 0.5 and 2 % noise and kernels estimated blind: of 0,
0.1, 0.2, 0.3 and 0.4, those of 0.2 and 0.3 restore best, by 0.3 and 0.1 dB over 0; 0.2 costs no photograph 0.1 dB.
"""
LEAST_GAIN, GAIN_TOLERANCE = 3.0, 0.2
"""Expected gain in dB at which a restoration is as likely worth having as not, and its scale.

Of 103 restorations of photographs that the network was not trained on, the 85 that promised more than 1.8 dB gained
4.2 dB on average, and none lost more than 0.01 dB; the 18 that promised less gained 0.4 dB. Of 104 other photographs,
most seen by cameras that turned or of things that moved, five promised 2.2 to 3 dB and were not contradicted (below):
these gained 1.4 dB at most, one lost 3.1, and on average nothing was gained: hence 3.
"""
CONTRADICTED_GAIN = 6.0
"""The same where a network that sees motion contradicts the kernel; see `runtime.restoration.uniformity`.

Of the 68 photographs on which that was measured, eleven were contradicted and promised 2.2 to 4.6 dB: these lost 1.1 dB
on average and gained 0.8 dB at most. One that promised 5.4 dB gained 2.6, and two that promised more than 6 dB gained
5.9 and 7.8. A photograph seen by a camera that turned promised 5.7 dB and lost 3.6: hence 6.
"""


DOUBT, MORE_DOUBT, MOST_DOUBT = 4.0, 8.0, 16.0
"""Times the noise that an estimated motion is undone as if there were: its errors make more of a mess than the noise.

Measured on photographs that the network was not trained on. Twelve under synthetic turns of 6 to 30 px: 3, 6 and 10
times gain 2.0, 1.9 and 1.7 dB. Eight whose motion is not fully explained: 4, 6 and 8 times gain 0.8, 0.9 and 0.9 dB,
and the worst -1.0, -0.3 and -0.2 dB. Four that neither motion nor one kernel explains: 4 and 16 times, -0.9 and 0.0 dB,
and the worst -1.5 and -0.2 dB.
"""
CLEAR, MOST_MISFIT, INEXACT = 1.2, 1.44, 0.003
"""Misfit up to which a motion explains a photograph fully, and at all, in units of the noise and of what any estimated
motion leaves; the motion's relative expected error is added to it.

Of 114 crops of photographs that the network was not trained on, under synthetic turns, shakes and uniform blur of 5 to
24 px and noise of 0.4 or 1.4 grey levels, 53 have motions certain enough to be undone. At `DOUBT`, 30 of the 32 that
are explained gain 0.1 to 5.4 dB and two lose 0.3 and 1.0 dB; of the 21 that are not, 17 would lose up to 2.2 dB.
"""
LOG_ERROR = -2.5
"""What the repairing network is told of the error that a kernel has, for a motion that was undone.

By -2.5 it mends more than by -1.5 and -0.5 on photographs that no network was trained on, under turns of 6 to 24 px.
"""
