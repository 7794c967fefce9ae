"""Model bundles: folders with the files of a model and ``bundle.json``, which describes them.

`ARCHITECTURE.md` documents the format. This module both reads and writes it, so that the two stay consistent: the
exporter calls `write_bundle`, all other code `load_model`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidModel, ModelNotFound

FORMAT = 1
MANIFEST = "bundle.json"
PRECISIONS = ("fp32", "fp16")
SHIPPED = Path(__file__).parents[1] / "models"
SEARCH_VARIABLE = "DEBLUR_MODELS"
T = TypeVar("T")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph. Symbolic dimensions are strings; an output's may be a quotient: "height/8"."""

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


@dataclass(frozen=True)
class PatchGeometry:
    """Patch geometry in pixels: the central `core` x `core` square of each `size` x `size` patch is restored."""

    size: int
    core: int
    stride: int


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


@dataclass(frozen=True)
class Bundle:
    """A model on disk: its description, its files, and how it was trained.

    Attributes
    ----------
    path
        The folder.
    name, version, method, description, licence
        Identification; `method` is the name of the deblurring method in `runtime.methods.registry`.
    files
        SHA-256 of every file, by file name.
    parts
        The networks, by name.
    constants
        ``.npz`` files, by name; see `load_constants`.
    patch
        Patch geometry of a patch model, else ``None``.
    assumes
        What the trained weights take for granted about their input; see `read_assumptions`.
    training, accuracy
        The training data and the measured accuracy, as written by the exporter.
    """

    path: Path
    name: str
    version: str
    method: str
    description: str
    licence: str
    files: Mapping[str, str]
    parts: Mapping[str, Part]
    constants: Mapping[str, Path]
    patch: PatchGeometry | None
    assumes: Mapping[str, Any]
    training: Mapping[str, Any]
    accuracy: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash((self.path, self.name, self.version))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a folder, which is read there again; one of the package as its name."""
        folder = self.path.absolute()
        return (_load_shipped, (folder.name,)) if folder.parent == SHIPPED else (load_model, (folder,))

    @cached_property
    def bytes(self) -> int:
        """Size of all files together, in bytes."""
        return sum((self.path / name).stat().st_size for name in self.files)

    def part(self, name: str) -> Part:
        """Return the network called `name`.

        Raises
        ------
        InvalidModel
            If the bundle has no such part.
        """
        if name not in self.parts:
            have = ", ".join(self.parts) or "none"
            raise InvalidModel(f"{self.path}: no part named {name!r} (it has: {have}); export it again")
        return self.parts[name]

    def load_constants(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Read the arrays stored under `name`.

        Raises
        ------
        InvalidModel
            If the bundle has no such constants.
        """
        if name not in self.constants:
            have = ", ".join(self.constants) or "none"
            raise InvalidModel(f"{self.path}: no constants named {name!r} (it has: {have})")
        with np.load(self.constants[name], allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}

    def read_assumptions(self, kind: type[T]) -> T:
        """Read what the weights assume about their input as a dataclass.

        Parameters
        ----------
        kind
            Dataclass with one field per assumption: a number, a string, or a tuple of these. A field without a default
            has to be in the bundle.

        Raises
        ------
        InvalidModel
            If the bundle lacks an assumption, has one that `kind` does not know, or a value that `kind` rejects.
        """
        unknown = sorted(set(self.assumes) - {field.name for field in fields(kind)})  # type: ignore[arg-type]
        if unknown:
            raise InvalidModel(f"{self.path}: assumes {', '.join(unknown)}, unknown to this version; use a newer one")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in self.assumes.items()}
        try:
            return kind(**values)
        except (TypeError, ValueError) as error:
            raise InvalidModel(f"{self.path}: 'assumes' cannot be used ({error}); export the model again") from error

    def require_assumptions(self, provided: object) -> None:
        """Check that the weights assume what the runtime provides, a dataclass as `read_assumptions` returns it.

        Raises
        ------
        InvalidModel
            If they assume something else, or as `read_assumptions` does.
        """
        assumed = self.read_assumptions(type(provided))
        if assumed != provided:
            raise InvalidModel(f"{self.path}: assumes {assumed}, but the runtime provides {provided}; train it on that")


def load_model(name_or_path: str | os.PathLike[str]) -> Bundle:
    """Find a bundle, check every file against its SHA-256, and return it.

    Parameters
    ----------
    name_or_path
        A folder that contains ``bundle.json``; or the name of a bundle; or the name of a method, for the first
        bundle of that method. Names are searched in the folder given by the environment variable ``DEBLUR_MODELS``,
        then among the models included in the package.

    Raises
    ------
    ModelNotFound
        If there is no such bundle.
    InvalidModel
        If ``bundle.json`` is damaged or of another format version, or a file is missing or altered.
    """
    bundle = _find(name_or_path)
    _check_files(bundle)
    return bundle


def _load_shipped(folder: str) -> Bundle:
    return load_model(SHIPPED / folder)


def list_models() -> list[Bundle]:
    """Return the bundles that can be loaded by name: those of ``DEBLUR_MODELS``, then those included in the package.

    Only ``bundle.json`` is read; the files are checked when a bundle is loaded.
    """
    found: dict[str, Bundle] = {}
    for folder in _search_path():
        for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
            bundle = _read(manifest.parent)
            found.setdefault(bundle.name, bundle)
    return list(found.values())


def write_bundle(folder: str | os.PathLike[str], manifest: Mapping[str, Any]) -> Bundle:
    """Write ``bundle.json`` into a folder that already contains the other files of the bundle.

    Parameters
    ----------
    folder
        All files in it, except ``bundle.json``, become part of the bundle.
    manifest
        The content of ``bundle.json`` without ``format`` and ``files``, which are added.

    Returns
    -------
    Bundle
        The bundle, as `load_model` returns it.

    Raises
    ------
    InvalidModel
        If the manifest is incomplete; nothing is written in this case.
    """
    path = Path(folder)
    names = sorted(file.name for file in path.iterdir() if file.is_file() and file.name != MANIFEST)
    content = {
        "format": FORMAT,
        **manifest,
        "files": {name: _sha256(path / name) for name in names},
    }
    bundle = _parse(content, path)
    draft = path / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path / MANIFEST)
    return bundle


def _search_path() -> list[Path]:
    own = os.environ.get(SEARCH_VARIABLE)
    return [*([Path(own)] if own else []), SHIPPED]


def _find(name_or_path: str | os.PathLike[str]) -> Bundle:
    path = Path(name_or_path)
    if (path / MANIFEST).is_file():
        return _read(path)
    if path.is_dir() and path.parts[:-1]:
        raise ModelNotFound(f"{path}: holds no {MANIFEST}; export a model there with python -m export onnx")
    models = list_models()
    wanted = str(name_or_path)
    for bundle in (*(m for m in models if m.name == wanted), *(m for m in models if m.method == wanted)):
        return bundle
    have = ", ".join(sorted({m.name for m in models})) or "none"
    places = " or ".join(str(p) for p in _search_path())
    raise ModelNotFound(f"no model named {wanted!r} (there is: {have}); give a path, or put it in {places}")


def _read(folder: Path) -> Bundle:
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InvalidModel(f"{manifest}: cannot be read ({error}); copy the bundle again") from error
    return _parse(content, folder)


def _parse(content: Any, folder: Path) -> Bundle:
    where = folder / MANIFEST
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise InvalidModel(f"{where}: format {found!r}, but this version reads {FORMAT}; export it again")
    try:
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        patch = content.get("patch")
        return Bundle(
            path=folder,
            name=str(content["name"]),
            version=str(content["version"]),
            method=str(content["method"]),
            description=str(content["description"]),
            licence=str(content["licence"]),
            files=files,
            parts={
                name: _parse_part(name, part, folder, files, where) for name, part in content.get("parts", {}).items()
            },
            constants={
                name: _listed(file, folder, files, where) for name, file in content.get("constants", {}).items()
            },
            patch=_parse_patch(patch, where) if patch else None,
            assumes=dict(content.get("assumes", {})),
            training=dict(content.get("training", {})),
            accuracy=dict(content.get("accuracy", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidModel(f"{where}: incomplete or malformed ({error!r}); export the model again") from error


def _parse_part(name: str, part: Mapping[str, Any], folder: Path, files: Iterable[str], where: Path) -> Part:
    graphs = {precision: _listed(file, folder, files, where) for precision, file in part["graphs"].items()}
    unknown = set(graphs) - set(PRECISIONS)
    if unknown or not graphs:
        raise InvalidModel(f"{where}: part {name!r} has graphs for {sorted(graphs)}, not for {PRECISIONS}")
    return Part(
        name=name,
        graphs=graphs,
        opset=int(part["opset"]),
        inputs=tuple(_parse_tensor(spec) for spec in part["inputs"]),
        outputs=tuple(_parse_tensor(spec) for spec in part["outputs"]),
        parity=dict(part.get("parity", {})),
    )


def _parse_tensor(spec: Mapping[str, Any]) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else str(size) for size in spec["shape"])
    return TensorSpec(str(spec["name"]), str(spec["type"]), shape)


def _parse_patch(patch: Mapping[str, Any], where: Path) -> PatchGeometry:
    geometry = PatchGeometry(int(patch["size"]), int(patch["core"]), int(patch["stride"]))
    if not 1 <= geometry.stride <= geometry.core <= geometry.size or (geometry.size - geometry.core) % 2:
        raise InvalidModel(
            f"{where}: patch {geometry.size}, core {geometry.core}, stride {geometry.stride} do not fit: "
            "needed are 1 <= stride <= core <= size and an even margin; export the model again"
        )
    return geometry


def _listed(file: str, folder: Path, files: Iterable[str], where: Path) -> Path:
    if file not in files:
        raise InvalidModel(f"{where}: names {file!r} but does not list its checksum; export the model again")
    return folder / file


def _check_files(bundle: Bundle) -> None:
    for name, digest in bundle.files.items():
        file = bundle.path / name
        if Path(name).name != name:
            raise InvalidModel(f"{bundle.path / MANIFEST}: {name!r} lies outside the bundle; export it again")
        if not file.is_file():
            raise InvalidModel(f"{file}: missing; copy or export the bundle again")
        if _sha256(file) != digest:
            raise InvalidModel(f"{file}: altered or damaged (wrong SHA-256); copy the bundle again")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
