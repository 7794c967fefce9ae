import io
import warnings
import zipfile

import numpy as np
import pytest

from runtime.errors import InvalidModel
from runtime.inference import constants
from runtime.inference.constants import read_constants


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(description):
    """The start of a ``.npy`` file with any description of its array."""
    text = description.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream, warnings.catch_warnings(action="ignore"):
        for name, content in members:
            stream.writestr(name, content)
    return path


def test_arrays_come_back(tmp_path, rng):
    arrays = {"a": rng.random((3, 4), np.float32), "b": np.arange(5), "c": np.float16(2), "d": np.zeros((0, 2))}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    found = read_constants(tmp_path / "x.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


ONE = npy(np.ones(3))
BAD = {
    "objects": [("a.npy", npy(np.array([{}], object)))],
    "text": [("a.npy", npy(np.array(["x"])))],
    "complex": [("a.npy", npy(np.array([1j])))],
    "fields": [("a.npy", npy(np.zeros(2, [("x", float)])))],
    "nan": [("a.npy", npy(np.array([1, np.nan], np.float32)))],
    "infinity": [("a.npy", npy(np.array([np.inf], np.float16)))],
    "twice": [("a.npy", ONE), ("a.npy", ONE)],
    "no array": [("a.npy", b"hello")],
    "empty": [("a.npy", b"")],
    "cut": [("a.npy", ONE[:-3])],
    "huge": [("a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1024)}"))],
    "beyond integers": [("a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 40 + ",)}"))],
    "negative": [("a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"))],
    "no shape": [("a.npy", header("{'descr': '<f8'}"))],
    "no Python": [("a.npy", header("{{{{"))],
    "deep": [("a.npy", header("(" * 5000))],
    "no type": [("a.npy", header("{'descr': 'nothing', 'fortran_order': False, 'shape': (1,)}"))],
}


@pytest.mark.parametrize("name", BAD)
def test_what_holds_other_than_finite_numbers_is_refused(tmp_path, name):
    with pytest.raises(InvalidModel, match=r"x\.npz: cannot be read") as caught:
        read_constants(archive(tmp_path / "x.npz", BAD[name]))
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "_MOST_BYTES", 10_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *arguments: pytest.fail("inflated"))
    members = [(f"{number}.npy", npy(np.zeros(500))) for number in range(3)]
    with pytest.raises(InvalidModel, match="larger than 10000 bytes"):
        read_constants(archive(tmp_path / "x.npz", members))


def test_damaged_files_are_refused(tmp_path, rng):
    whole = archive(tmp_path / "x.npz", [("a.npy", npy(rng.random(200)))]).read_bytes()
    for content in (b"", b"hello", npy(np.ones(3)), whole[:-30], whole[:40], whole[40:]):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(InvalidModel, match="cannot be read"):
            read_constants(tmp_path / "x.npz")
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            found = read_constants(tmp_path / "x.npz")
        except InvalidModel:
            continue
        assert all(np.isfinite(array).all() for array in found.values())


def test_an_error_that_quotes_the_file_is_told_in_short(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("weights.npy", b"")
    data = (tmp_path / "c.npz").read_bytes()
    name = b"weights.npy"
    # The name in front of the data is another one, and as long as a name can be.
    forged = data[:26] + (60_000).to_bytes(2, "little") + data[28:30] + b"x" * 60_000 + data[30 + len(name) :]
    end = forged.rindex(b"PK\5\6")
    start = int.from_bytes(forged[end + 16 : end + 20], "little") + 60_000 - len(name)
    (tmp_path / "c.npz").write_bytes(forged[: end + 16] + start.to_bytes(4, "little") + forged[end + 20 :])
    with pytest.raises(InvalidModel, match="cannot be read") as refused:
        read_constants(tmp_path / "c.npz")
    assert len(str(refused.value)) < 500


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidModel, match=r"absent\.npz: cannot be read"):
        read_constants(tmp_path / "absent.npz")
