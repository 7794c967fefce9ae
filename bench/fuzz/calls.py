"""The family ``calls``: every public function, with arguments of which some are hostile."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import runtime
from bench.fuzz.case import Broken, Case
from bench.fuzz.inputs.mutations import pick
from bench.fuzz.inputs.values import (
    Maker,
    hostile,
    hostile_image,
    hostile_kernel,
    hostile_motion,
    image,
    kernel,
    motion,
)
from runtime import metrics

_HOSTILE = 0.25
"""Chance of each argument to be hostile."""
_PLENTY = 0.04
"""Share of single photographs that are large enough for a blind estimate, which takes seconds."""


def _choice(*values: Any) -> Maker:
    return lambda rng: pick(rng, values)


_SINGLE: dict[str, Maker] = {
    "quality": _choice("fast"),
    "stride": _choice(None, 8, 16, 33, np.int64(16)),
    "nonblind": _choice(None, "hyper-laplacian", "wiener", "none"),
    "support": _choice(None, 9, 21, np.int32(15)),
    "noise": _choice(None, 0.01, 0, 0.5, np.float32(0.02)),
    "refine": _choice(True, False),
    "neural": _choice(True, False),
    "strength": _choice(1.0, 0, 0.3, np.float64(0.5)),
    "progress": _choice(None, lambda stage, fraction: None),
}
_KNOWN: dict[str, Maker] = {
    "method": _choice("wiener", "irc", "epll", "synthesis"),
    "device": _choice("cpu"),
    **{name: _SINGLE[name] for name in ("quality", "noise", "progress")},
}
_BURST: dict[str, Maker] = {
    "register": _choice(True, False),
    "reference": _choice(None, 0, 1, np.int64(1)),
    "p": _choice(11.0, 0, 3, float("inf"), np.float32(5)),
    "patch": _choice(None, 8, 12),
    "stride": _choice(None, 4),
    "smoothing": _choice(None, 0, 0.1),
    "chroma": _choice("own", "fba"),
    "progress": _choice(None, lambda stage, fraction: None),
}
_MODEL: dict[str, Maker] = {
    "device": _choice("cpu"),
    "precision": _choice("auto", "fp32"),
    "batch": _choice(None, 1, 64),
}


class Calls:
    """Calls of the public functions."""

    name: ClassVar[str] = "calls"
    cases: ClassVar[int] = 3000
    short: ClassVar[int] = 80
    seconds: ClassVar[float] = 60.0
    memory: ClassVar[int] = 1200 << 20
    silent: ClassVar[bool] = True

    def warm_up(self) -> None:
        """Compile what the calls use."""
        rng = np.random.default_rng(0)
        frame = (rng.random((70, 70)) * 255).astype(np.uint8)
        _deblurrer("chakrabarti").restore(frame, quality="fast")
        _deblurrer("chakrabarti").restore(frame, quality="fast", refine=False)
        for register in (False, True):
            _deblurrer("fba").restore_burst([frame, frame.copy()], register=register)
        runtime.deconvolve(frame, motion=motion(frame.shape)(rng), quality="fast")
        for method in ("hyper-laplacian", "epll", "synthesis", "wiener", "irc"):
            runtime.deconvolve(frame, kernel(rng), quality="fast", method=method)

    def make(self, rng: np.random.Generator, folder: Path) -> Case:
        """Make a call of any public function."""
        return pick(rng, _DOORS)(rng)


def _arguments(rng: np.random.Generator, makers: Mapping[str, Maker], most: int = 3) -> dict[str, Any]:
    """Choose some options, some with hostile values."""
    names = rng.permutation(list(makers))[: int(rng.integers(most + 1))]
    return {str(name): hostile(rng) if rng.random() < _HOSTILE else makers[str(name)](rng) for name in names}


def _photograph(rng: np.random.Generator) -> Any:
    if rng.random() < _PLENTY:
        return image(rng, (int(rng.integers(65, 80)), int(rng.integers(65, 80)), *pick(rng, ((), (3,)))))
    return hostile_image(rng) if rng.random() < 2 * _HOSTILE else image(rng)


def _frames(rng: np.random.Generator) -> Any:
    if rng.random() < _HOSTILE / 2:
        return hostile(rng)
    first = image(rng)
    frames: list[Any] = [np.roll(first, shift, 0).copy() for shift in range(int(rng.integers(0, 5)))]
    if frames and rng.random() < _HOSTILE:
        frames[int(rng.integers(len(frames)))] = hostile_image(rng)
    return iter(frames) if rng.random() < 0.2 else frames


def _case(title: str, call: Callable[[], Any], like: Any, arguments: Mapping[str, Any]) -> Case:
    """Return a case that checks the image that `call` gives and that the arguments stay as they were."""
    given = [like, *arguments.values()]

    def run() -> None:
        before = [_copy(value) for value in given]
        try:
            check_image(call(), like)
        finally:
            if any(not _same(value, kept) for value, kept in zip(given, before, strict=True)):
                raise Broken("an argument was changed")

    words = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
    return Case(f"{title}({_short(like)}{', ' if words else ''}{words})", run)


def _deblur(rng: np.random.Generator) -> Case:
    photograph, options = _photograph(rng), {"quality": "fast", **_arguments(rng, _SINGLE)}
    return _case("restore", lambda: _deblurrer("chakrabarti").restore(photograph, **options).image, photograph, options)


def _deblur_whole(rng: np.random.Generator) -> Case:
    photograph = _photograph(rng)
    options = {"quality": "fast", "device": "cpu", **_arguments(rng, _SINGLE, 1), **_arguments(rng, _MODEL, 2)}
    if rng.random() < _HOSTILE:
        options["model"] = hostile(rng)
    return _case("deblur", lambda: runtime.deblur(photograph, **options), photograph, options)


def _deconvolve(rng: np.random.Generator) -> Case:
    photograph = hostile_image(rng) if rng.random() < 0.5 else image(rng)
    options = {"quality": "fast", "device": "cpu", **_arguments(rng, _KNOWN, 2)}
    if rng.random() < 0.3:
        usual = motion(getattr(photograph, "shape", (20, 20)) if getattr(photograph, "ndim", 0) > 1 else (20, 20))
        options["motion"] = hostile_motion(rng) if rng.random() < _HOSTILE else usual(rng)
    else:
        options["kernel"] = hostile_kernel(rng) if rng.random() < _HOSTILE else kernel(rng)
    return _case("deconvolve", lambda: runtime.deconvolve(photograph, **options), photograph, options)


def _burst(rng: np.random.Generator) -> Case:
    frames, options = _frames(rng), _arguments(rng, _BURST)
    like = frames[0] if isinstance(frames, list) and frames else None

    def call() -> Any:
        return _deblurrer("fba").restore_burst(frames, **options).image

    case = _case("restore_burst", call, like, options)
    return replace(case, title=f"{case.title}, frames {_short(frames)}")


def _burst_whole(rng: np.random.Generator) -> Case:
    frames, options = _frames(rng), {"device": "cpu", **_arguments(rng, _BURST, 1), **_arguments(rng, _MODEL, 1)}
    like = frames[0] if isinstance(frames, list) and frames else None
    return _case("deblur_burst", lambda: runtime.deblur_burst(frames, **options), like, options)


def _construct(rng: np.random.Generator) -> Case:
    options = {"device": "cpu", **_arguments(rng, {"model": _choice("fba", "chakrabarti"), **_MODEL})}

    def run() -> None:
        deblurrer = runtime.Deblurrer(**options)
        if pickle.loads(pickle.dumps(deblurrer)).name != deblurrer.name:
            raise Broken("a Deblurrer is another one after its journey")

    return Case(f"Deblurrer({', '.join(f'{name}={_short(value)}' for name, value in options.items())})", run)


def _load(rng: np.random.Generator) -> Case:
    name = pick(rng, ("fba", "repair", "nothing")) if rng.random() < 0.3 else hostile(rng)

    def run() -> None:
        if runtime.load_model(name).name not in {bundle.name for bundle in runtime.list_models()}:
            raise Broken("the model that was loaded is not listed")

    return Case(f"load_model({_short(name)})", run)


def _score(rng: np.random.Generator) -> Case:
    first, second = (hostile_image(rng) if rng.random() < _HOSTILE else _plane(rng) for _ in range(2))
    border = hostile(rng) if rng.random() < _HOSTILE else pick(rng, (0, 2, 12))
    functions: tuple[Callable[..., Any], ...] = (metrics.psnr, metrics.align)
    function = pick(rng, functions)

    def run() -> None:
        score = function(first, second, border=border)
        if np.isnan(score).any():
            raise Broken("a score that is NaN")

    return Case(f"{function.__name__}({_short(first)}, {_short(second)}, border={_short(border)})", run)


def _plane(rng: np.random.Generator) -> Any:
    return rng.random((40, 40)).astype(pick(rng, ("float32", "float64")))


_DOORS: tuple[Callable[[np.random.Generator], Case], ...] = (
    _deblur, _deblur, _deblur_whole, _deconvolve, _deconvolve, _deconvolve, _burst, _burst, _burst_whole, _construct,
    _load, _score,
)  # fmt: skip


@cache
def _deblurrer(model: str) -> runtime.Deblurrer:
    return runtime.Deblurrer(model=model, device="cpu")


def check_image(result: Any, like: Any) -> None:
    """Raise `Broken` unless a result is an image of the type, dtype and shape of `like`, and finite.

    `like` is ``None`` where the type is not known.
    """
    if like is None:
        return
    if isinstance(like, bytes):
        if not isinstance(result, bytes):
            raise Broken(f"{type(result).__name__} for bytes")
        runtime.images.decode(result)
        return
    if not isinstance(result, np.ndarray) or isinstance(like, np.ma.MaskedArray) != isinstance(
        result, np.ma.MaskedArray
    ):
        raise Broken(f"{type(result).__name__} for {type(like).__name__}")
    if (result.shape, result.dtype.name) != (like.shape, like.dtype.name):
        raise Broken(f"{result.dtype} {result.shape} for {like.dtype} {like.shape}")
    if isinstance(like, np.ma.MaskedArray) and not np.array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(like)):
        raise Broken("the mask is another one")
    if not np.isfinite(np.ma.filled(result, 0)).all():
        raise Broken("NaN or infinite values")


def _copy(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, np.ndarray | list | dict | bytearray) else value


def _same(value: Any, kept: Any) -> bool:
    if isinstance(value, np.ma.MaskedArray):
        return _same(value.data, kept.data) and _same(np.ma.getmaskarray(value), np.ma.getmaskarray(kept))
    if isinstance(value, np.ndarray):
        return value.tobytes() == kept.tobytes()
    return value is kept or repr(value) == repr(kept)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value.dtype} {value.shape}"
    if isinstance(value, list):
        return f"[{', '.join(_short(each) for each in value[:4])}{', ...' if len(value) > 4 else ''}]"
    return repr(value)[:60]
