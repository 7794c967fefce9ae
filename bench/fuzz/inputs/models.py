"""Small bundles of every kind, the seeds of the mutations, and mutations of their files."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.fuzz.inputs.mutations import ANY, pick
from runtime.errors import MissingDependency
from runtime.inference.bundle import MANIFEST, SHIPPED, write_bundle

FileChange = Callable[[np.random.Generator, Path, str], None]

KINDS = ("network", "fba", "epll-mixture")
"""A patch network with external data, a method without a network, constants."""
_SIZE, _CORE = 17, 9


def write_seed(kind: str, folder: Path) -> None:
    """Write a bundle of a kind into a folder that does not exist yet."""
    if kind == "network":
        folder.mkdir()
        for name, data in _network_files():
            (folder / name).write_bytes(data)
    else:
        shutil.copytree(SHIPPED / kind, folder)


@cache
def _network_files() -> tuple[tuple[str, bytes], ...]:
    """Return the files of a patch network that returns its input, its filters in an external file."""
    import tempfile

    try:
        import onnx

        from export.onnx.graph import OPSET, Graph, Weights
    except ImportError as error:
        raise MissingDependency("bundles need onnx: pip install 'deblur-runtime[export]'") from error
    shape = (2, _SIZE, _SIZE // 2 + 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights = Weights(folder / "network.weights")
        graph = Graph(weights, half=False)
        spectrum = np.zeros((1, *shape), np.float32)
        spectrum[:, 0] = 1
        batch = graph.node("Shape", "patches", start=0, end=1)
        repeats = graph.node("Concat", batch, graph.constant(np.ones(3), np.int64), axis=0)
        graph.name_output(graph.node("Tile", graph.table("spectrum", spectrum), repeats), "filters")
        model = graph.model("identity", {"patches": ["batch", _SIZE, _SIZE]}, {"filters": ["batch", *shape]})
        onnx.save(model, folder / "network.fp32.onnx")
        weights.write()
        part = {
            "graphs": {"fp32": "network.fp32.onnx"},
            "opset": OPSET,
            "inputs": [{"name": "patches", "type": "float32", "shape": ["batch", _SIZE, _SIZE]}],
            "outputs": [{"name": "filters", "type": "float32", "shape": ["batch", *shape]}],
            "parity": {"fp32": {"max_abs": 0.0, "batches": [1]}},
        }
        described = {
            "name": "identity",
            "version": "1",
            "method": "chakrabarti",
            "description": "returns its input",
            "licence": "Apache-2.0",
            "parts": {"network": part},
            "patch": {"size": _SIZE, "core": _CORE, "stride": 4},
            "assumes": {"range": [0, 1], "colour": "luminance"},
        }
        write_bundle(folder, described)
        return tuple((file.name, file.read_bytes()) for file in sorted(folder.iterdir()))


def files_of(folder: Path) -> list[str]:
    """Return the names of the files that a manifest describes."""
    return sorted(file.name for file in folder.iterdir() if file.name != MANIFEST)


def seal(folder: Path) -> None:
    """Write the checksums of all files into the manifest, so that only their content can be wrong."""
    described = json.loads((folder / MANIFEST).read_text())
    described.pop("files", None)
    write_bundle(folder, described)


def alter(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Mutate the bytes of a file."""
    file = folder / name
    file.write_bytes(pick(rng, ANY)(rng, file.read_bytes()))


def remove(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Remove a file."""
    (folder / name).unlink()


def substitute(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Put something into the place of a file that is no file: a folder, a pipe, a link to anywhere."""
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    kind = int(rng.integers(5))
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.mkfifo(file)
    elif kind == 2:
        outside = folder.parent / "outside"
        outside.write_bytes(content)
        file.symlink_to(outside)
    else:
        file.symlink_to(pick(rng, (name, "nowhere", "/dev/zero")) if kind == 3 else "/dev/full")


def add(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Add a file that the manifest does not list."""
    (folder / pick(rng, ("more.onnx", "é" * 100, ".hidden", "bundle.json.1"))).write_bytes(rng.bytes(30))


def alter_constants(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Write an archive of arrays anew, with arrays of other types, shapes and values."""
    file = folder / name
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (ValueError, OSError):
        alter(rng, folder, name)
        return
    key = pick(rng, list(arrays))
    arrays[key] = pick(rng, _ARRAYS)(arrays[key])
    if rng.random() < 0.2:
        arrays[pick(rng, ("", "x", "../x"))] = arrays.pop(key)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    file.write_bytes(stream.getvalue())


_ARRAYS: tuple[Callable[[npt.NDArray[Any]], Any], ...] = (
    lambda a: a * np.nan, lambda a: a * 0, lambda a: -a, lambda a: a * 1e30, lambda a: a[:0], lambda a: a[:-1],
    lambda a: a[..., :-1], lambda a: a[None], lambda a: a.ravel(), lambda a: a.astype("U5"),
    lambda a: a.astype(complex), lambda a: a.astype(bool), lambda a: np.array(3), lambda a: np.array([{}], object),
    lambda a: np.zeros(8_000_000),
)  # fmt: skip


def forge_constants(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Write an archive with an array whose header says what is not there, or what is too large."""
    import zipfile

    shape = pick(rng, ((10**12,), (2**62, 8), (-1,), (10**5, 10**5), (True,), ("x",), ()))
    kind = pick(rng, ("<f8", "<f4", "|O", "<U9", "<c16", "<M8[s]", "no", [("a", "<f4")]))
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}}}\n".encode()
    data = b"\x93NUMPY" + bytes([pick(rng, (0, 1, 1, 1, 9)), 0]) + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ("weights.npy", "covariances.npy"):
            archive.writestr(key, data + bytes(pick(rng, (0, 1000))))


def alter_graph(rng: np.random.Generator, folder: Path, name: str) -> None:
    """Change what an ONNX graph says: shapes, types, operators, names, and where its data lies."""
    import onnx

    file = folder / name
    try:
        model = onnx.load(file, load_external_data=False)
        pick(rng, _GRAPHS)(rng, model)
        file.write_bytes(model.SerializeToString())
    except Exception:  # mutated before: no graph any longer
        alter(rng, folder, name)


def _locate(rng: np.random.Generator, model: Any) -> None:
    entry = pick(rng, list(pick(rng, list(model.graph.initializer)).external_data))
    places = ("/etc/passwd", "../outside", "bundle.json", "", "nowhere")
    numbers = ("-1", "0", "1", "99999999999", "x", "")
    entry.value = pick(rng, places if entry.key == "location" else numbers)


def _reshape(rng: np.random.Generator, model: Any) -> None:
    tensor = pick(rng, [*model.graph.initializer])
    tensor.dims[int(rng.integers(len(tensor.dims)))] = pick(rng, (0, -1, 1, 3, 2**40))


def _retype(rng: np.random.Generator, model: Any) -> None:
    pick(rng, [*model.graph.initializer]).data_type = int(rng.integers(0, 24))


def _declare(rng: np.random.Generator, model: Any) -> None:
    value = pick(rng, [*model.graph.input, *model.graph.output]).type.tensor_type
    if rng.random() < 0.3:
        value.elem_type = int(rng.integers(0, 18))
    else:
        pick(rng, list(value.shape.dim)).dim_value = pick(rng, (0, 1, 16, 2**40))


def _operate(rng: np.random.Generator, model: Any) -> None:
    pick(rng, list(model.graph.node)).op_type = pick(rng, ("Identity", "Neg", "Cast", "Loop", "Nothing", "", "Gemm"))


def _rename(rng: np.random.Generator, model: Any) -> None:
    value = pick(rng, [*model.graph.input, *model.graph.output, *model.graph.initializer])
    value.name = pick(rng, ("", "x", "patches", "filters"))


def _version(rng: np.random.Generator, model: Any) -> None:
    model.opset_import[0].version = pick(rng, (0, 1, 7, 999))
    model.ir_version = pick(rng, (0, 3, 10, 99))


def _spoil(rng: np.random.Generator, model: Any) -> None:
    """Put numbers that are not finite into the weights."""
    tensor = next(each for each in model.graph.initializer if each.data_type == 1)
    values = np.full(tuple(tensor.dims), pick(rng, (np.nan, np.inf, 3e38)), np.float32)
    del tensor.external_data[:]
    tensor.data_location = 0
    tensor.raw_data = values.tobytes()


_GRAPHS: tuple[Callable[[np.random.Generator, Any], None], ...] = (
    _locate, _locate, _reshape, _retype, _declare, _operate, _rename, _version, _spoil,
)  # fmt: skip

FILE_CHANGES: tuple[FileChange, ...] = (alter, alter, remove, substitute, add)
"""Changes of any file; `alter_constants` and `alter_graph` know what is in it."""
