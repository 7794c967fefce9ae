"""The manifest of a model bundle, ``bundle.json``: read with limits, every field checked for its type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from runtime.arguments import shown
from runtime.errors import InvalidModel

MANIFEST = "bundle.json"
FORMAT = 1
PRECISIONS = ("fp32", "fp16")
TENSOR_TYPES = ("float32", "float16", "float64", "int64", "int32", "uint8", "bool")

_MOST_BYTES = 2**20
"""Size of a manifest, at most."""
_DEEPEST = 32
"""Levels of nesting, at most."""
_LONGEST_NAME = 120
"""Characters of a name, at most."""
LARGEST_PATCH = 1024
"""Side of a patch in pixels, at most."""
_SIZE = re.compile(r"([A-Za-z_]\w*)(?:[/-]([1-9]\d{0,3}))?", re.ASCII)
"""A symbolic dimension, or for an output a quotient or difference of one and a number."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEND = "export the model again"

Json: TypeAlias = Mapping[str, Any]
Shapes: TypeAlias = Mapping[str, tuple[int | str, ...]]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph. Symbolic dimensions are strings; an output's may be "height/8" or "height-6"."""

    name: str
    type: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Part:
    """One network of a bundle, with one ONNX graph per precision."""

    name: str
    graphs: Mapping[str, Path]
    opset: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parity: Mapping[str, Mapping[str, Any]]

    def require(self, where: Path, inputs: Shapes, outputs: Shapes) -> None:
        """Check that inputs and outputs have the names and shapes that a method needs.

        Parameters
        ----------
        where
            The bundle, for the message.
        inputs, outputs
            The shape of each, by its name.

        Raises
        ------
        InvalidModel
            If they have others, or are not of float32.
        """
        for kind, specs, wanted in (("takes", self.inputs, inputs), ("gives", self.outputs, outputs)):
            found = {spec.name: spec.shape for spec in specs}
            if found != wanted or any(spec.type != "float32" for spec in specs):
                raise InvalidModel(
                    f"{where}: its part {self.name!r} {kind} {shown(found)}, not {wanted} of float32; {_MEND}"
                )


@dataclass(frozen=True)
class PatchGeometry:
    """Patch geometry in pixels: the central `core` x `core` square of each `size` x `size` patch is restored."""

    size: int
    core: int
    stride: int


def check_inside(file: Path) -> None:
    """Check that a file of a bundle lies in its folder, and is no link to one elsewhere.

    Raises
    ------
    InvalidModel
        If it lies elsewhere.
    """
    if file.resolve().parent != file.parent.resolve():
        raise InvalidModel(f"{file}: leads outside the bundle; copy the file itself into the folder")


def read_json(manifest: Path) -> Any:
    """Read a manifest.

    Raises
    ------
    InvalidModel
        If it cannot be read, lies elsewhere, is no JSON, is very large or deeply nested, or has a field twice or a
        number that is not finite.
    """
    mend = "copy the bundle again"
    try:
        if not manifest.is_file():
            raise InvalidModel(f"{manifest}: is no file; {mend}")
        check_inside(manifest)
        with manifest.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InvalidModel(f"{manifest}: is larger than {_MOST_BYTES} bytes; {_MEND}")
        content = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError as error:
        raise InvalidModel(f"{manifest}: is nested too deeply; {_MEND}") from error
    except (ValueError, OSError) as error:
        if isinstance(error, InvalidModel):
            raise
        raise InvalidModel(f"{manifest}: cannot be read ({error}); {mend}") from error
    if _depth(content) > _DEEPEST:
        raise InvalidModel(f"{manifest}: is nested too deeply; {_MEND}")
    return content


class Fields:
    """The fields of an object of a manifest, each read as the type that it has to have.

    Parameters
    ----------
    content
        The object.
    where
        The manifest, for messages.
    place
        Names of the fields that lead to the object, for messages.

    Raises
    ------
    InvalidModel
        If `content` is no object. So does each method, for a field that is missing or of another type.
    """

    def __init__(self, content: Any, where: Path, place: tuple[str, ...] = ()) -> None:
        self._where, self._place = where, place
        if not isinstance(content, dict):
            self._refuse("", content, "an object")
        self._content: dict[str, Any] = content

    @property
    def names(self) -> list[str]:
        """Names of all fields."""
        return list(self._content)

    def has(self, name: str) -> bool:
        """Tell whether there is a field of this name that is not null or empty."""
        return bool(self._content.get(name))

    def text(self, name: str, least: int = 1, most: int = _LONGEST_NAME, choices: Iterable[str] | None = None) -> str:
        """Read a string of printable characters, in one line."""
        value = self._get(name)
        if not isinstance(value, str) or not value.isprintable() or not least <= len(value) <= most:
            self._refuse(name, value, f"a text of one line, of {least} to {most} characters")
        if choices is not None and value not in choices:
            self._refuse(name, value, f"one of {', '.join(choices)}")
        return value

    def whole(self, name: str, least: int, most: int) -> int:
        """Read a whole number."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self._refuse(name, value, f"a whole number from {least} to {most}")
        return value

    def fields(self, name: str) -> Fields:
        """Read an object; an empty one, if there is no such field."""
        return Fields(self._content.get(name, {}), self._where, (*self._place, name))

    def each(self, name: str) -> list[Fields]:
        """Read a list of objects."""
        value = self._get(name)
        if not isinstance(value, list):
            self._refuse(name, value, "a list")
        return [Fields(each, self._where, (*self._place, name, str(i))) for i, each in enumerate(value)]

    def shape(self, name: str) -> tuple[int | str, ...]:
        """Read the shape of a tensor."""
        value = self._get(name)
        sizes = value if isinstance(value, list) and len(value) <= 8 else [None]
        for size in sizes:
            whole = isinstance(size, int) and not isinstance(size, bool) and 1 <= size < 2**31
            if not whole and not (isinstance(size, str) and len(size) <= 64 and _SIZE.fullmatch(size)):
                self._refuse(name, value, "a list of sizes: whole numbers, names, or quotients such as 'height/8'")
        return tuple(sizes)

    def listed(self, name: str, files: Iterable[str]) -> str:
        """Read the name of a file of the bundle."""
        value = self._get(name)
        if not isinstance(value, str) or value not in files:
            raise InvalidModel(f"{self._where}: names {shown(value)} but does not list its checksum; {_MEND}")
        return value

    def objects(self, name: str) -> dict[str, Json]:
        """Read an object of objects; an empty one, if there is no such field."""
        inner = self.fields(name)
        return {key: inner.fields(key).plain() for key in inner.names}

    def plain(self) -> Json:
        """Return the object as it was read."""
        return self._content

    def _get(self, name: str) -> Any:
        if name not in self._content:
            raise InvalidModel(f"{self._where}: incomplete, it has no {self._path(name)}; {_MEND}")
        return self._content[name]

    def _path(self, name: str) -> str:
        return " ".join("/".join((*self._place, *([name] if name else []))).split())[:_LONGEST_NAME] or "content"

    def _refuse(self, name: str, value: Any, wanted: str) -> NoReturn:
        raise InvalidModel(f"{self._where}: malformed, {self._path(name)} is {shown(value)}, not {wanted}; {_MEND}")


def parse_files(content: Fields, where: Path) -> dict[str, str]:
    """Read the checksums by file name.

    The names must be plain ones on every system, and differ also where case does not count.
    """
    fields = content.fields("files")
    folded: set[str] = set()
    for name in fields.names:
        if not _is_plain(name):
            raise InvalidModel(f"{where}: {shown(name)} lies outside the bundle or is no name of a file; {_MEND}")
        if name.casefold() in folded:
            raise InvalidModel(f"{where}: lists {shown(name)} twice but for its case; {_MEND}")
        folded.add(name.casefold())
    files = {name: fields.text(name) for name in fields.names}
    for name, digest in files.items():
        if not _DIGEST.fullmatch(digest):
            raise InvalidModel(f"{where}: the checksum of {shown(name)} is no SHA-256 in hexadecimal digits; {_MEND}")
    return files


def parse_part(name: str, content: Fields, folder: Path, files: Iterable[str]) -> Part:
    """Read the description of a network."""
    where = folder / MANIFEST
    graphs = content.fields("graphs")
    unknown = set(graphs.names) - set(PRECISIONS)
    if unknown or not graphs.names:
        raise InvalidModel(f"{where}: part {shown(name)} has graphs for {sorted(graphs.names)}, not for {PRECISIONS}")
    part = Part(
        name=name,
        graphs={precision: folder / graphs.listed(precision, files) for precision in graphs.names},
        opset=content.whole("opset", 1, 1000),
        inputs=tuple(_parse_tensor(each) for each in content.each("inputs")),
        outputs=tuple(_parse_tensor(each) for each in content.each("outputs")),
        parity=content.objects("parity"),
    )
    for kind, specs in (("inputs", part.inputs), ("outputs", part.outputs)):
        if not specs or len({spec.name for spec in specs}) < len(specs):
            raise InvalidModel(f"{where}: part {shown(name)} has no {kind}, or two of one name; {_MEND}")
    symbols = {size for spec in part.inputs for size in spec.shape if isinstance(size, str)}
    computed = {re.split("[/-]", size)[0] for spec in part.outputs for size in spec.shape if isinstance(size, str)}
    if any("/" in size or "-" in size for size in symbols) or not computed <= symbols:
        raise InvalidModel(
            f"{where}: sizes of the outputs of part {shown(name)} do not follow from those of its inputs; {_MEND}"
        )
    if not set(part.parity) <= set(part.graphs):
        raise InvalidModel(f"{where}: part {shown(name)} states the parity of a graph that it has not; {_MEND}")
    return part


def parse_patch(content: Fields, where: Path) -> PatchGeometry:
    """Read the geometry of patches."""
    geometry = PatchGeometry(*(content.whole(name, 1, LARGEST_PATCH) for name in ("size", "core", "stride")))
    if not geometry.stride <= geometry.core <= geometry.size or (geometry.size - geometry.core) % 2:
        raise InvalidModel(
            f"{where}: patch {geometry.size}, core {geometry.core}, stride {geometry.stride} do not fit: "
            f"needed are 1 <= stride <= core <= size and an even margin; {_MEND}"
        )
    return geometry


def _parse_tensor(content: Fields) -> TensorSpec:
    return TensorSpec(content.text("name"), content.text("type", choices=TENSOR_TYPES), content.shape("shape"))


def _is_plain(name: str) -> bool:
    """Tell whether a name can be that of a file of a bundle, on any system."""
    forbidden = set('/\\:*?"<>|') | {MANIFEST.casefold()}
    return (
        name.isprintable()
        and 0 < len(name) <= _LONGEST_NAME
        and name.casefold() not in forbidden | {".", ".."}
        and not forbidden & set(name)
        and name == name.rstrip(". ")
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a field occurs twice")
    return content


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is not finite")
    return number


def _depth(content: Any) -> int:
    """Return the levels of nesting, counted without recursion."""
    depth, level = 0, [content]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            each
            for item in level
            if isinstance(item, dict | list)
            for each in (item.values() if isinstance(item, dict) else item)
        ]
    return depth
