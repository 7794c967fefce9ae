import os

import click
import pytest

from runtime.cli.results import RECORD, record_results, without_results


@pytest.fixture
def frames(tmp_path):
    files = [tmp_path / name for name in ("a.png", "b.png", "sharp one.png")]
    for file in files:
        file.write_bytes(file.name.encode())
    return [str(file) for file in files]


def test_a_result_is_left_out_and_a_frame_of_its_name_is_not(frames, tmp_path, capsys):
    assert without_results(frames) == frames
    record_results(frames[:2], [frames[2]])
    assert without_results(frames) == frames[:2]
    assert f"{frames[2]} is left out of the frames: a burst has written it" in capsys.readouterr().err
    (tmp_path / "sharp one.png").write_bytes(b"a photograph")
    assert without_results(frames) == frames


def test_what_lies_elsewhere_is_not_noted(frames, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "c.png").write_bytes(b"c")
    record_results(frames, [str(tmp_path / "out" / "c.png")])
    assert not (tmp_path / RECORD).exists()
    assert not (tmp_path / "out" / RECORD).exists()


def test_a_damaged_record_is_no_obstacle(frames, tmp_path):
    (tmp_path / RECORD).write_bytes(b"\xff\x00\n\n no digest\n")
    assert without_results(frames) == frames


@pytest.mark.parametrize("name", ["of\nlines.png", "of\u2028lines.png", " a b .png", "\udcff.png"])
def test_a_name_may_be_any(frames, tmp_path, name):
    odd = tmp_path / name
    odd.write_bytes(b"result")
    for _ in range(2):
        record_results(frames, [str(odd)])
    assert without_results([*frames, str(odd)]) == frames
    assert len((tmp_path / RECORD).read_bytes().splitlines()) == 1


def test_a_folder_of_links_is_one_of_frames(frames, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "a.png").symlink_to(frames[0])
    result = folder / "out.png"
    result.write_bytes(b"result")
    record_results([str(folder / "a.png")], [str(result)])
    assert without_results([str(folder / "a.png"), str(result)]) == [str(folder / "a.png")]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_nothing_is_written_through_what_is_no_file(frames, tmp_path, capsys, kind):
    other = tmp_path / "other.txt"
    other.write_text("mine")
    if kind == "link":
        (tmp_path / RECORD).symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(tmp_path / RECORD)
    else:
        (tmp_path / RECORD).mkdir()
    record_results(frames[:2], [frames[2]])
    assert "will be taken for a frame next time" in capsys.readouterr().err
    assert other.read_text() == "mine"
    assert without_results(frames) == frames


def test_results_alone_are_no_burst(frames):
    record_results(frames, frames)
    with pytest.raises(click.UsageError, match="all frames are results of bursts"):
        without_results(frames)
