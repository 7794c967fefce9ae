"""The files of a bundle, written beside their place and then put there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx

from export.onnx.graph import Weights

PRECISIONS = ("fp32", "fp16")


@contextmanager
def replacing(folder: str | Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` at the end, or nothing's place after an error."""
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as name:
        draft = Path(name) / "new"
        draft.mkdir()
        yield draft
        if target.exists():
            target.rename(Path(name) / "old")
        draft.rename(target)


def write_part(
    folder: Path,
    part: str,
    build: Callable[[Weights, bool], onnx.ModelProto],
    precisions: Sequence[str] = PRECISIONS,
) -> dict[str, str]:
    """Write ``<part>.fp32.onnx``, ``<part>.fp16.onnx`` and ``<part>.weights``.

    Parameters
    ----------
    folder, part
        Where to.
    build
        Makes the graph over a file of weights, in half precision or not.
    precisions
        Which of the graphs.

    Returns
    -------
    dict
        File name of each precision.
    """
    weights = Weights(folder / f"{part}.weights")
    files = {}
    for precision in precisions:
        model = build(weights, precision == "fp16")
        files[precision] = f"{part}.{precision}.onnx"
        (folder / files[precision]).write_bytes(model.SerializeToString(deterministic=True))
    weights.write()
    for file in files.values():
        onnx.checker.check_model(str(folder / file), full_check=True)
    return files
