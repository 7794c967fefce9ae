"""The binaries in the repository are those of the sources beside them."""

import re
import stat
import struct
import tomllib
from pathlib import Path

import pytest

from kernels.cuda import compile as ahead
from tests.kernels.cuda.test_sources import CROWDED

ROOT = Path(__file__).parents[3]
FOLDER = Path(ahead.__file__).with_name("binaries")
LARGEST = 1 << 20
"""All of them together, in bytes."""

PTX, CUBIN = 1, 2
WHOLE, IMAGE = struct.Struct("<IHHQ"), struct.Struct("<H2xIQI8xI24xQ")
"""What begins a fat binary: magic number, version, bytes of this, bytes of all images. What begins an image: kind,
bytes of this, bytes that follow, those that are compressed, architecture, bytes when decompressed."""
MAGIC = 0xBA55ED50


def images_of(binary):
    """``(kind, architecture, compressed, size)`` of each image in a fat binary."""
    magic, _, place, size = WHOLE.unpack_from(binary)
    assert (magic, place + size) == (MAGIC, len(binary))
    while place < len(binary):
        kind, header, length, compressed, architecture, size = IMAGE.unpack_from(binary, place)
        yield kind, architecture, binary[place + header :][:compressed], size
        place += header + length


@pytest.fixture(scope="module")
def nvcc():
    try:
        return ahead.find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))


def test_each_source_has_its_binary_and_there_are_no_others():
    wanted = {ahead.binary(family) for family in ahead.FAMILIES}
    assert set(FOLDER.iterdir()) == wanted, "run `python -m kernels.cuda.compile`"
    assert len(wanted) == len(ahead.FAMILIES) >= 10


def test_they_are_small_and_packaged():
    paths = [*FOLDER.iterdir()]
    assert sum(path.stat().st_size for path in paths) < LARGEST
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["kernels"]
    packaged = {path for pattern in patterns for path in ROOT.joinpath("kernels").glob(pattern)}
    assert set(paths) <= packaged


@pytest.mark.parametrize("family", ahead.FAMILIES)
def test_machine_code_for_each_generation_and_code_for_all_others(family):
    images = images_of(ahead.binary(family).read_bytes())
    assert [image[:2] for image in images] == [(CUBIN, 80), (CUBIN, 90), (CUBIN, 100), (CUBIN, 120), (PTX, 75)]


@pytest.mark.parametrize("family", ahead.FAMILIES)
def test_each_image_has_every_kernel(family):
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow to decompress the images")
    kernels = {*re.findall(r'extern "C" __global__ void (\w+)\(', ahead.source(family))}
    assert kernels
    for kind, architecture, compressed, size in images_of(ahead.binary(family).read_bytes()):
        held = pyarrow.decompress(compressed, decompressed_size=size, codec="zstd", asbytes=True)
        # A section of an ELF file for each kernel; in PTX its declaration.
        declared = re.findall(rb"\.entry (\w+)\(" if kind == PTX else rb"\0\.text\.(\w+)(?=\0)", held)
        assert {name.decode() for name in declared} == kernels, (kind, architecture)


@pytest.mark.slow
@pytest.mark.parametrize("family", ahead.FAMILIES)
def test_the_compiler_makes_the_same_again(nvcc, family):
    assert ahead.compile_binary(family, nvcc) == ahead.binary(family).read_bytes()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (CROWDED, "spill"),
        ('extern "C" __global__ void waste(float* x) { int unused; }', "never referenced"),
        ('extern "C" __global__ void broken() { undeclared = 1; }', "undeclared"),
    ],
)
def test_a_source_that_does_not_compile_cleanly_is_refused(nvcc, monkeypatch, source, words):
    monkeypatch.setattr(ahead, "source", lambda family: source)
    with pytest.raises(RuntimeError, match=rf"(?s)patches\.cu does not compile cleanly.*{words}"):
        ahead.compile_binary("patches", nvcc)


def test_what_has_changed_is_compiled_and_what_is_stale_goes(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "binaries"
    monkeypatch.setattr(ahead, "FAMILIES", ["burst", "edges"])
    monkeypatch.setattr(ahead, "find_compiler", lambda: "nvcc")
    monkeypatch.setattr(ahead, "binary", lambda family: folder / f"{family}-1.fatbin")
    monkeypatch.setattr(ahead, "compile_binary", lambda family, nvcc: f"{nvcc} {family}".encode())
    ahead.main()
    assert capsys.readouterr().out.split() == ["burst-1.fatbin", "edges-1.fatbin"]
    monkeypatch.setattr(ahead, "binary", lambda family: folder / f"{family}-{1 if family == 'burst' else 2}.fatbin")
    ahead.main()
    assert capsys.readouterr().out.split() == ["edges-2.fatbin"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "burst-1.fatbin": b"nvcc burst",
        "edges-2.fatbin": b"nvcc edges",
    }


def test_another_compiler_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"no nvcc on the PATH: install CUDA 13\.0"):
        ahead.find_compiler()
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.4, V12.4.99'\n")
    nvcc.chmod(stat.S_IRWXU)
    with pytest.raises(RuntimeError, match=r"is of release 12\.4: put nvcc of CUDA 13\.0 on the PATH"):
        ahead.find_compiler()
