"""Why a photograph comes back as it was: a code for programs, a sentence for people."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """A reason to leave a photograph unchanged.

    Attributes
    ----------
    code : str
        Stable, for programs: ``result.code``.
    sentence : str
        For people: ``result.reason``.
    """

    FLAT = "flat", "it shows nothing but one value"
    NOT_BLURRED = "not-blurred", "its edges are as narrow as those of a sharp photograph"
    UNCLEAR = "unclear", "it does not show clearly enough what blurred it"
    NOT_UNIFORM = "not-uniform", "no single blur kernel explains all of it"
    NOT_SPARSER = "not-sparser", "no blur kernel that was found makes it clearer"
    NO_GAIN = "no-gain", "no restoration of it is expected to come nearer to the truth"
    NO_MOTION = "no-motion", "no motion is seen in it"
    MOTION_UNCERTAIN = "motion-uncertain", "the motion in it is too uncertain to be undone, or not straight"

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence
