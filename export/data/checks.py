"""What the settings of several kinds of data are checked for, with one message each."""

from __future__ import annotations

from collections.abc import Sequence


def check_shares(settings: object, *names: str) -> None:
    """Raise a ValueError that names the attribute unless each is a share from 0 to 1."""
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} must be a share from 0 to 1, got {getattr(settings, name)}")


def check_range(settings: object, name: str, least: float, most: float | None = None) -> None:
    """Raise a ValueError unless an attribute is a range (low, high) from `least` up, to `most` if that is given."""
    low, high = getattr(settings, name)
    if not least <= low <= high or (most is not None and high > most):
        bounds = f"from {least} up" if most is None else f"within {least} to {most}"
        raise ValueError(f"{name} must be a range (low, high) {bounds}, got {(low, high)}")


def check_factors(name: str, factors: Sequence[float]) -> None:
    """Raise a ValueError unless there are factors, all of at least 1."""
    if not factors or min(factors) < 1:
        raise ValueError(f"{name} must be factors of at least 1, got {factors}")
