"""Why a photograph comes back as it was."""

from __future__ import annotations

FLAT_IMAGE = "it shows nothing but one value"
NOT_BLURRED = "its edges are as narrow as those of a sharp photograph"
NOT_SURE = "it does not show clearly enough by what it is blurred"
NOT_UNIFORM = "no single blur kernel explains all of it"
NOT_SPARSER = "no blur kernel that was found makes it clearer"


NO_GAIN = "what can be restored of it would not come nearer to the truth"


UNEXPLAINED = "no straight motions explain it"
