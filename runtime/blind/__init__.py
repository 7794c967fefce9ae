"""Estimation of a blur kernel from the blurred photograph alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.blind.estimate import BlindEstimate, estimate_blind

__all__ = ["BlindEstimate", "estimate_blind"]


def __getattr__(name: str) -> Any:
    # On first use: `runtime.blur_kernel`, which the estimate builds on, uses other modules of this package.
    if name in __all__:
        from runtime.blind import estimate

        return getattr(estimate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
