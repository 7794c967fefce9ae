"""Model bundles: folders with the files of a model and ``bundle.json``, which describes them.

`ARCHITECTURE.md` documents the format. This module both reads and writes it, so that the two stay consistent: the
exporter calls `write_bundle`, all other code `load_model`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from runtime.arguments import check_path, shown
from runtime.errors import InvalidModel, ModelNotFound
from runtime.inference.assumptions import ImageAssumptions, read_assumptions
from runtime.inference.constants import read_constants
from runtime.inference.manifest import (
    FORMAT,
    MANIFEST,
    Fields,
    Part,
    PatchGeometry,
    TensorSpec,
    check_inside,
    parse_files,
    parse_part,
    parse_patch,
    read_json,
)
from runtime.inference.onnx_files import stored_outside

__all__ = [
    "MANIFEST",
    "SEARCH_VARIABLE",
    "SHIPPED",
    "Bundle",
    "ImageAssumptions",
    "Part",
    "PatchGeometry",
    "TensorSpec",
    "check_files",
    "find_models",
    "list_models",
    "load_model",
    "replacing",
    "write_bundle",
]

SHIPPED = Path(__file__).parents[1] / "models"
SEARCH_VARIABLE = "DEBLUR_MODELS"
LARGEST_FILE = 2**31
"""Size of a file of a bundle in bytes, at most: that of an ONNX graph."""
_LONGEST_SHOWN = 200
"""Characters of assumptions in a message, at most."""
_LONGEST_DESCRIPTION = 2000
"""Characters of a description, at most."""
T = TypeVar("T")


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
        """Size of all files together, in bytes; an `InvalidModel` if one is missing."""
        try:
            return sum((self.path / name).stat().st_size for name in self.files)
        except OSError as error:
            raise InvalidModel(f"{error.filename}: {error.strerror}; copy or export the bundle again") from error

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
            If the bundle has no such constants, or they cannot be read.
        """
        if name not in self.constants:
            have = ", ".join(self.constants) or "none"
            raise InvalidModel(f"{self.path}: no constants named {name!r} (it has: {have})")
        return read_constants(self.constants[name])

    def read_assumptions(self, kind: type[T], *, partly: bool = False) -> T:
        """Read what the weights assume about their input as a dataclass.

        Parameters
        ----------
        kind
            Dataclass with one field per assumption: a number, a string, or a tuple of these. A field without a default
            has to be in the bundle.
        partly
            Whether the bundle may assume more than that, for other parts.

        Raises
        ------
        InvalidModel
            If the bundle lacks an assumption, has one that `kind` does not know, or a value that `kind` rejects.
        """
        known = {field.name for field in fields(kind)} if partly else set(self.assumes)  # type: ignore[arg-type]
        assumes = {name: value for name, value in self.assumes.items() if name in known}
        return read_assumptions(assumes, kind, self.path)

    def require_assumptions(self, provided: object) -> None:
        """Check that the weights assume what the runtime provides, a dataclass as `read_assumptions` returns it.

        Raises
        ------
        InvalidModel
            If they assume something else, or as `read_assumptions` does.
        """
        assumed = self.read_assumptions(type(provided))
        if assumed != provided:
            raise InvalidModel(
                f"{self.path}: assumes {str(assumed)[:_LONGEST_SHOWN]}, but the runtime provides {provided}; "
                "train it on that"
            )


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
    bundle = _find(check_path("model", name_or_path))
    check_files(bundle)
    return bundle


def _load_shipped(folder: str) -> Bundle:
    return load_model(SHIPPED / folder)


def list_models() -> list[Bundle]:
    """Return the bundles that can be loaded by name: those of ``DEBLUR_MODELS``, then those included in the package.

    Only ``bundle.json`` is read; the files are checked when a bundle is loaded. A bundle whose ``bundle.json`` cannot
    be used is left out; `find_models` says why.
    """
    return find_models()[0]


def find_models() -> tuple[list[Bundle], list[InvalidModel]]:
    """Return the bundles of `list_models`, and for each further one there the reason why it cannot be loaded."""
    found: dict[str, Bundle] = {}
    faults = []
    for folder in _search_path():
        for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
            try:
                bundle = _read(manifest.parent)
            except InvalidModel as error:
                faults.append(error)
            else:
                found.setdefault(bundle.name, bundle)
    return list(found.values()), faults


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
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidModel(f"{path / MANIFEST}: cannot be written ({error}); correct the manifest") from error
    bundle = _parse(json.loads(text), path)
    draft = path / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(text, encoding="utf-8")
    draft.replace(path / MANIFEST)
    return bundle


@contextmanager
def replacing(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` at the end; after an error `folder` stays as it was."""
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as name:
        draft = Path(name) / "new"
        draft.mkdir()
        yield draft
        if target.exists():
            target.rename(Path(name) / "old")
        draft.rename(target)


def _search_path() -> list[Path]:
    own = os.environ.get(SEARCH_VARIABLE)
    return [*([Path(own)] if own else []), SHIPPED]


def _find(wanted: str) -> Bundle:
    path = Path(wanted)
    try:
        if (path / MANIFEST).is_file():
            return _read(path)
        is_folder = path.is_dir()
    except OSError as error:
        raise ModelNotFound(f"no model named {shown(wanted)} ({error.strerror}); give a name or a path") from error
    if is_folder and path.parts[:-1]:
        raise ModelNotFound(f"{path}: holds no {MANIFEST}; export a model there with python -m export onnx")
    if path.is_absolute():
        raise ModelNotFound(f"{path}: there is no such folder; copy the model there, or give another path or name")
    models, faults = find_models()
    for bundle in (*(m for m in models if m.name == wanted), *(m for m in models if m.method == wanted)):
        return bundle
    for folder in _search_path():
        if (folder / wanted / MANIFEST).is_file():
            _read(folder / wanted)
    have = ", ".join(sorted({m.name for m in models})) or "none"
    places = " or ".join(str(p) for p in _search_path())
    broken = f"; unusable: {'; '.join(map(str, faults))}" if faults else ""
    raise ModelNotFound(
        f"no model named {shown(wanted)} (there is: {have}{broken}); give a path, or put it in {places}"
    )


def _read(folder: Path) -> Bundle:
    return _parse(read_json(folder / MANIFEST), folder)


def _parse(content: Any, folder: Path) -> Bundle:
    where = folder / MANIFEST
    found = content.get("format") if isinstance(content, dict) else None
    if isinstance(found, bool) or found != FORMAT:
        raise InvalidModel(f"{where}: format {shown(found)}, but this version reads {FORMAT}; export it again")
    fields = Fields(content, where)
    files = parse_files(fields, where)
    parts, constants = fields.fields("parts"), fields.fields("constants")
    return Bundle(
        path=folder,
        name=fields.text("name"),
        version=fields.text("version"),
        method=fields.text("method"),
        description=fields.text("description", least=0, most=_LONGEST_DESCRIPTION),
        licence=fields.text("licence", least=0),
        files=files,
        parts={name: parse_part(name, parts.fields(name), folder, files) for name in parts.names},
        constants={name: folder / constants.listed(name, files) for name in constants.names},
        patch=parse_patch(fields.fields("patch"), where) if fields.has("patch") else None,
        assumes=fields.fields("assumes").plain(),
        training=fields.fields("training").plain(),
        accuracy=fields.fields("accuracy").plain(),
    )


def check_files(bundle: Bundle) -> None:
    """Check that every file of a bundle lies in its folder and is the one that the manifest lists.

    Raises
    ------
    InvalidModel
        If a file is missing, altered, very large or elsewhere, or a graph stores tensors in a file that is not listed.
    """
    for name, digest in bundle.files.items():
        file = bundle.path / name
        try:
            if not file.is_file():
                raise InvalidModel(f"{file}: missing; copy or export the bundle again")
            check_inside(file)
            if file.stat().st_size > LARGEST_FILE:
                raise InvalidModel(f"{file}: is larger than {LARGEST_FILE} bytes; export a smaller model")
            if _sha256(file) != digest:
                raise InvalidModel(f"{file}: altered or damaged (wrong SHA-256); copy the bundle again")
        except OSError as error:
            raise InvalidModel(f"{file}: cannot be read ({error.strerror or error}); copy the bundle again") from error
    for graph in {graph for part in bundle.parts.values() for graph in part.graphs.values()}:
        for name in sorted(stored_outside(graph) - set(bundle.files)):
            raise InvalidModel(f"{graph}: stores tensors in {shown(name)}, which is not listed; export the model again")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
