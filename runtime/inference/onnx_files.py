"""The files beside an ONNX graph in which its tensors are stored, read from the graph.

ONNX Runtime opens whatever file a graph names, so the names are compared with the manifest of the bundle first. A graph
is a message in the wire format of protocol buffers, of which this module knows the fields that lead to tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.errors import InvalidModel

_TENSOR, _ENTRY = "tensor", "entry"
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
"""For each kind of message, the fields whose messages lead to tensors (``onnx.proto``); `_ENTRY` is a key and value."""

_OPSET_IMPORT = 8
"""The field of a model that holds domain and version of a set of operators."""


def stored_outside(graph: Path) -> set[str]:
    """Return the names of the files that the tensors of a graph are stored in, apart from its own.

    Raises
    ------
    InvalidModel
        If the file is no ONNX graph.
    """
    found = set()
    try:
        pending = [("model", memoryview(graph.read_bytes()))]
        while pending:
            kind, message = pending.pop()
            inner = _FIELDS[kind]
            for number, value in _messages(message):
                if inner.get(number) == _ENTRY:
                    entry = {key: bytes(text).decode("utf-8") for key, text in _messages(value)}
                    if entry.get(1) == "location":
                        found.add(entry.get(2, ""))
                elif number in inner:
                    pending.append((inner[number], value))
    except (ValueError, IndexError, OSError) as error:
        raise InvalidModel(f"{graph}: is no ONNX graph ({error}); export the model again") from error
    return found


def opset_of(graph: Path) -> int:
    """Return the version of the standard operators that a graph is written for.

    Raises
    ------
    InvalidModel
        If the file is no ONNX graph, or does not say.
    """
    try:
        for number, value in _messages(memoryview(graph.read_bytes())):
            if number == _OPSET_IMPORT:
                entry = dict(_fields(value))
                version = entry.get(2)
                if bytes(entry.get(1, b"")) in (b"", b"ai.onnx") and isinstance(version, int):
                    return version
    except (ValueError, IndexError, OSError) as error:
        raise InvalidModel(f"{graph}: is no ONNX graph ({error}); export the model again") from error
    raise InvalidModel(f"{graph}: does not say for which operators it is written; export the model again")


def _messages(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of the fields of a message that have a length; other fields are passed over."""
    for number, value in _fields(message):
        if isinstance(value, memoryview):
            yield number, value


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and content of the fields of a message that have a length or are whole numbers."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"a field of kind {kind}")
    if at > len(message):
        raise ValueError("it ends too early")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number that starts at a position, and the position after it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("a number of more than ten bytes")
