import dataclasses

import numpy as np
import pytest
from PIL import Image

from export.loop import recording as module
from export.loop.recording import Recording, read_seconds, read_shards, record, record_alone, write_shard


def make(planes, prior, rng):
    assert planes[0].dtype == np.uint8
    assert prior is not None
    return {"values": rng.normal(size=3), "side": np.array(planes[0].shape[0])}


@pytest.fixture
def recording(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", 1)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "photograph.png")
    return Recording([tmp_path / "photograph.png"], tmp_path / "run", "training", 0, make)


def values(file):
    return read_shards([file], ["values"])[0]


def test_a_file_depends_on_its_number_alone(recording, tmp_path):
    recording.folder.mkdir()
    record_alone(recording, 0)
    record_alone(recording, 0)
    other = dataclasses.replace(recording, folder=tmp_path / "other")
    other.folder.mkdir()
    record_alone(other, 0, first=1, every=2)
    (recording.folder / "training-00000.part").write_bytes(b"of a process that was killed")
    validation = dataclasses.replace(other, name="validation")
    record_alone(validation, 0)
    assert [file.name for file in recording.shards()] == ["training-00000.npz", "training-00001.npz"]
    first, second = (values(file) for file in recording.shards())
    assert np.array_equal(second, values(other.shards()[0]))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, values(validation.shards()[0]))


def test_time_that_was_spent_counts(recording):
    (file,) = record(recording, 0)
    assert record(recording, 0) == [file]
    assert record(recording, read_seconds(file) / 2) == [file]
    assert len(record(recording, 0.2)) > 1


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_than_asked_for_are_recorded(recording, most):
    assert len(record(dataclasses.replace(recording, most=most), 60)) == most


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def killed(stream, **arrays):
        stream.write(b"PK, and then no more")
        raise KeyboardInterrupt

    file = tmp_path / "training-0.npz"
    example = {"values": np.arange(3.0)}
    with monkeypatch.context() as patch:
        patch.setattr(module.np, "savez", killed)
        with pytest.raises(KeyboardInterrupt):
            write_shard(file, [example], 1.0)
    assert not list(tmp_path.glob("*.npz"))
    write_shard(file, [example, example], 2.5)
    assert [each.name for each in tmp_path.iterdir()] == ["training-0.npz"]
    assert read_seconds(file) == 2.5
    assert values(file).shape == (2, 3)


def test_files_are_read_together_if_they_fit(tmp_path):
    for name, size in (("a", 3), ("b", 3), ("c", 4)):
        write_shard(tmp_path / f"{name}.npz", [{"values": np.full(size, 1.0)}], 1.0)
    assert read_shards([tmp_path / "a.npz", tmp_path / "b.npz"], ["values"])[0].shape == (2, 3)
    with pytest.raises(ValueError, match="of different sizes"):
        read_shards([tmp_path / "a.npz", tmp_path / "c.npz"], ["values"])
    with pytest.raises(ValueError, match="record for longer"):
        read_shards([], ["values"])
