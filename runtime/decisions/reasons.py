"""The reasons for returning a photograph unchanged, each with a code for programs and a sentence for users."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A reason to leave a photograph unchanged.

    Attributes
    ----------
    code : str
        Stable identifier, for programs: ``result.code``.
    sentence : str
        Explanation, for users: ``result.reason``. "it" is the photograph.
    """

    EMPTY = "empty", "none of its pixels is visible and known"
    SCATTERED = "scattered", "its known pixels lie too far apart to show how it is blurred"
    FLAT = "flat", "all of its pixels have the same value, but for noise, or change too gently to show edges"
    NOT_BLURRED = "not-blurred", "its edges are as narrow as those of a sharp photograph"
    UNCLEAR = "unclear", "its blur kernel cannot be estimated with enough confidence"
    NOT_UNIFORM = "not-uniform", "its blur varies, so no single blur kernel explains all of it"
    NOT_SPARSER = "not-sparser", "no estimated blur kernel makes its edges clearer"
    NO_GAIN = "no-gain", "no restoration is predicted to be closer to the sharp photograph"
    NO_MOTION = "no-motion", "no motion was detected in it"
    MOTION_UNCERTAIN = "motion-uncertain", "its motion is too uncertain to be removed, or not straight"

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
