"""The options of a request: from text to the values of the runtime, which checks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runtime.arguments import check_choice, check_real
from runtime.errors import InvalidArgument
from runtime.options import DECONVOLUTIONS, BurstOptions, Options, read_response
from runtime.serve.refusals import Refusal

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _whole(text: str) -> int:
    return int(text)


def _flag(text: str) -> bool:
    return _FLAGS[text.lower()]


Parser = Callable[[str], Any]
_REMEDIES: dict[Parser, str] = {
    _whole: "give a whole number",
    float: "give a number",
    _flag: "give true or false",
    str: "give a text",
    read_response: "give a name or a number",
}

PARAMETERS: dict[str, dict[str, Parser]] = {
    "deblur": {
        "model": str,
        "quality": str,
        "stride": _whole,
        "nonblind": str,
        "support": _whole,
        "noise": float,
        "refine": _flag,
        "neural": _flag,
        "response": read_response,
        "content": str,
        "variant": str,
        "strength": float,
    },
    "deconvolve": {"method": str, "quality": str, "noise": float, "response": read_response},
    "burst": {
        "model": str,
        "register": _flag,
        "reference": _whole,
        "p": float,
        "patch": _whole,
        "stride": _whole,
        "smoothing": float,
        "chroma": str,
    },
}
"""Options of each kind of request, and what makes a value of their text."""

_LONGEST = 100
"""Characters of a value."""


def parse_options(kind: str, given: Iterable[tuple[str, str]], models: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of a request as the runtime takes them.

    Parameters
    ----------
    kind
        A key of `PARAMETERS`.
    given
        Names and values, as text.
    models
        The kind of request, ``"deblur"`` or ``"burst"``, that each installed model serves, by its name.

    Raises
    ------
    Refusal
        ``invalid-option``, with the remedy.
    """
    parsers, options = PARAMETERS[kind], {}
    try:
        for name, text in given:
            if name not in parsers:
                raise InvalidArgument(f"there is no option {name[:_LONGEST]!r} here: leave it out, or give one of "
                                      f"{', '.join(parsers)}")  # fmt: skip
            if name in options:
                raise InvalidArgument(f"{name} is given twice: give it once")
            options[name] = _value(name, text, parsers[name])
        _check(kind, options, models)
    except InvalidArgument as error:
        raise Refusal("invalid-option", str(error)) from error
    return options


def _value(name: str, text: str, parser: Parser) -> Any:
    try:
        if len(text) > _LONGEST:
            raise ValueError
        return parser(text)
    except (ValueError, KeyError) as error:
        raise InvalidArgument(f"{name}={text[:_LONGEST]!r}: {_REMEDIES[parser]}") from error


def _check(kind: str, options: dict[str, Any], models: Mapping[str, str]) -> None:
    """Check values as the runtime does, before a worker is asked."""
    if "model" in options:
        usable = sorted(name for name, serves in models.items() if serves == kind)
        check_choice("model", options["model"], usable)
    plain = {name: value for name, value in options.items() if name != "model"}
    if kind == "deblur":
        strength = plain.pop("strength", 1.0)
        check_real("strength", strength, lambda weight: 0 <= weight <= 1, "give a number from 0 to 1")
        Options(**plain)
    elif kind == "burst":
        for name in ("register", "reference"):
            plain.pop(name, None)
        BurstOptions(**plain)
    else:
        if "method" in plain:
            check_choice("method", plain["method"], DECONVOLUTIONS)
        if "noise" in plain:
            check_real("noise", plain["noise"], lambda noise: 0 <= noise < 1, "give a number from 0 to 1")
        Options(**{name: plain[name] for name in ("quality", "response") if name in plain})
