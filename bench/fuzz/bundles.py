"""The family ``bundles``: model bundles with mutated manifests and files, loaded, listed and used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

import runtime
from bench.fuzz.calls import check_image
from bench.fuzz.case import Broken, Case
from bench.fuzz.inputs.manifests import CHANGES, deep, write
from bench.fuzz.inputs.models import (
    FILE_CHANGES,
    KINDS,
    alter_constants,
    alter_graph,
    files_of,
    forge_constants,
    seal,
    write_seed,
)
from bench.fuzz.inputs.mutations import ANY, pick
from runtime.deconvolution.mixture import load_mixture
from runtime.errors import DeblurError
from runtime.inference.bundle import MANIFEST, SEARCH_VARIABLE


class Bundles:
    """Model bundles that are damaged, forged or of another kind than they say."""

    name: ClassVar[str] = "bundles"
    cases: ClassVar[int] = 2000
    short: ClassVar[int] = 100
    seconds: ClassVar[float] = 20.0
    memory: ClassVar[int] = 500 << 20
    silent: ClassVar[bool] = True

    def warm_up(self) -> None:
        """Use every kind of bundle as it should be."""
        import tempfile

        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                write_seed(kind, Path(folder) / kind)
                _use(kind, Path(folder) / kind)
                _list(kind, Path(folder) / kind)

    def make(self, rng: np.random.Generator, folder: Path) -> Case:
        """Write a bundle and change its manifest or its files, mostly with checksums that are right again."""
        kind = pick(rng, KINDS)
        bundle = folder / "models" / kind
        bundle.parent.mkdir()
        write_seed(kind, bundle)
        files, done = files_of(bundle), []
        if files and rng.random() < 0.6:
            name = pick(rng, files)
            own = {".npz": (alter_constants, forge_constants), ".onnx": (alter_graph,)}.get(Path(name).suffix, ())
            change = pick(rng, own if own and rng.random() < 0.6 else FILE_CHANGES)
            change(rng, bundle, name)
            done.append(f"{change.__name__} {name}")
            if rng.random() < 0.8:
                with suppress(OSError, DeblurError, ValueError):  # what is no file has no checksum
                    seal(bundle)
        else:
            done.append(_change_manifest(rng, bundle / MANIFEST))
        door = pick(rng, (_use, _use, _use, _list))
        return Case(f"{kind}: {', '.join(done)}: {door.__name__.strip('_')}", partial(door, kind, bundle))


def _change_manifest(rng: np.random.Generator, manifest: Path) -> str:
    text = manifest.read_bytes()
    if rng.random() < 0.15:
        mutation = pick(rng, (*ANY, deep))
        manifest.write_bytes(mutation(rng, text))
        return mutation.__name__
    content, done = json.loads(text), []
    for _ in range(min(3, int(rng.geometric(0.7)))):
        change = pick(rng, CHANGES)
        with suppress(OverflowError):
            content = change(rng, content)
        done.append(change.__name__)
    manifest.write_bytes(write(content))
    return " + ".join(done)


def _use(kind: str, folder: Path) -> None:
    """Load a bundle and do what it is for."""
    picture = np.random.default_rng(1).random((24, 26), dtype=np.float32)
    if kind == "epll-mixture":
        mixture = load_mixture(folder)
        if not all(np.isfinite(values).all() for values in (mixture.weights, mixture.variances, mixture.vectors)):
            raise Broken("a mixture that is not finite")
        return
    bundle = runtime.load_model(folder)
    deblurrer = runtime.Deblurrer(model=bundle, device="cpu")
    if kind == "fba":
        check_image(deblurrer.restore_burst([picture, picture[::-1].copy()], register=False).image, picture)
    else:
        check_image(deblurrer.restore(picture, nonblind="none").image, picture)


def _list(kind: str, folder: Path) -> None:
    """List models with a folder of own ones: a bad one must not hide the others."""
    with _searching(folder.parent):
        names = [bundle.name for bundle in runtime.list_models()]
        if "kernel-prior" not in names:
            raise Broken("a model of the package is not listed")
        runtime.load_model("repair")


@contextmanager
def _searching(folder: Path) -> Iterator[None]:
    before = os.environ.get(SEARCH_VARIABLE)
    os.environ[SEARCH_VARIABLE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[SEARCH_VARIABLE]
        else:
            os.environ[SEARCH_VARIABLE] = before
