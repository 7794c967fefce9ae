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


def test_results_alone_are_no_burst(frames):
    record_results(frames, frames)
    with pytest.raises(click.UsageError, match="all frames are results of bursts"):
        without_results(frames)
