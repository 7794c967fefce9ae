"""What the weights of a model assume about their input, as its bundle states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from runtime.arguments import shown
from runtime.errors import InvalidModel

T = TypeVar("T")


@dataclass(frozen=True)
class ImageAssumptions:
    """What a network assumes about the pixels it sees; the runtime provides the defaults, and nothing else.

    Attributes
    ----------
    range
        Values of black and white.
    colour
        ``"luminance"``.
    """

    range: tuple[float, float] = (0, 1)
    colour: str = "luminance"


def read_assumptions(assumes: Mapping[str, Any], kind: type[T], where: Path) -> T:
    """Read assumptions as a dataclass.

    Parameters
    ----------
    assumes
        As in ``bundle.json``.
    kind
        The dataclass; see `runtime.inference.bundle.Bundle.read_assumptions`.
    where
        The bundle, for messages.

    Raises
    ------
    InvalidModel
        If an assumption is missing, unknown, of another type than its field, or rejected by `kind`.
    """
    unknown = sorted(set(assumes) - {field.name for field in fields(kind)})  # type: ignore[arg-type]
    if unknown:
        names = ", ".join(shown(name).strip("'") for name in unknown)
        raise InvalidModel(f"{where}: assumes {names}, unknown to this version; use a newer one")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in assumes.items()}
    try:
        for name, hint in get_type_hints(kind).items():
            if name in values and not _fits(values[name], hint):
                raise TypeError(f"{name} is {shown(values[name])}, not {shown(hint)}")
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise InvalidModel(f"{where}: 'assumes' cannot be used ({error}); export the model again") from error


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value of JSON, whose lists have become tuples, is of the type of a field."""
    if get_origin(hint) is tuple:
        hints = get_args(hint)
        if hints[-1] is Ellipsis:
            return isinstance(value, tuple) and all(_fits(each, hints[0]) for each in value)
        return isinstance(value, tuple) and len(value) == len(hints) and all(map(_fits, value, hints))
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, (int, float) if hint is float else hint)
