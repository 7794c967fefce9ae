import os

import click
import pytest

from runtime.cli.paths import check_target, leave_out_results, list_inputs, list_photographs, remove_leftovers_of
from runtime.errors import ImageFileError


def test_a_new_file_in_a_folder_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_target("out.png", overwrite=False)
    check_target(f"{tmp_path}/out.png", overwrite=False)


def test_a_file_that_is_there_is_protected(tmp_path):
    path = tmp_path / "out.png"
    path.write_bytes(b"")
    check_target(str(path), overwrite=True)
    with pytest.raises(ImageFileError, match="--overwrite"):
        check_target(str(path), overwrite=False)
    dangling = tmp_path / "link.png"
    dangling.symlink_to(tmp_path / "absent.png")
    with pytest.raises(ImageFileError, match="--overwrite"):
        check_target(str(dangling), overwrite=False)


def test_what_can_be_no_file_is_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageFileError, match=r"folder\.png is a folder: name a file"):
        check_target(f"{tmp_path}/folder.png", overwrite=True)
    with pytest.raises(ImageFileError, match="too long for the file system"):
        check_target(f"{tmp_path}/{'x' * 256}", overwrite=False)


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_path_that_is_no_folder_is_named(name, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ImageFileError, match=f"{name} is not a writable folder: create it"):
        check_target(f"{tmp_path}/{name}/out.png", overwrite=True)


def test_a_folder_gives_its_photographs_by_name_but_no_hidden_files(tmp_path):
    for name in ("b.PNG", "a.jpg", "._a.jpg", ".b.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert list_photographs(str(tmp_path)) == [str(tmp_path / name) for name in ("a.jpg", "b.PNG")]
    assert list_photographs(str(tmp_path / "._a.jpg")) == [str(tmp_path / "._a.jpg")]


def test_pictures_of_kernels_and_motions_are_no_photographs(tmp_path):
    for name in ("a.png", "a.kernel.png", "a.kernel.npy", "a.jpg.motion.png", "a.jpg.motion.npy", "b.kernel.png"):
        (tmp_path / name).touch()
    assert list_photographs(str(tmp_path)) == [str(tmp_path / name) for name in ("a.png", "b.kernel.png")]


def test_what_systems_put_beside_photographs_is_left_out(tmp_path, capsys):
    paths = {name: str(tmp_path / name) for name in ("a.jpg", "._a.jpg", "._b.jpg", "Thumbs.db", "@eaDir", "in")}
    for name, content in {
        "a.jpg": b"jpeg",
        "._a.jpg": b"\x00\x05\x16\x07\x00\x02",
        "._b.jpg": b"jpeg",
        "Thumbs.db": b"\xd0\xcf",
        "in/b.jpg": b"jpeg",
        "in/sent later.jpg": b"",
        "@eaDir/a.jpg": b"thumbnail",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    found = list_inputs(list(paths.values()))
    assert found == [paths["a.jpg"], paths["._b.jpg"], str(tmp_path / "in" / "b.jpg")]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[-1] == f"deblur: {tmp_path}/in/sent later.jpg is left out: it is empty"
    assert list_inputs([paths["._a.jpg"]]) == [paths["._a.jpg"]], "alone it is named on purpose"
    assert list_inputs([str(tmp_path / "in" / "sent later.jpg")]) == [str(tmp_path / "in" / "sent later.jpg")]


def test_if_nothing_is_left_nothing_was_given(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(click.UsageError, match="no photographs: name files, or a folder of them"):
        list_inputs([str(tmp_path)])


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(ImageFileError, match=r"cannot be listed \(Permission denied\): check its permissions"):
        list_photographs(str(tmp_path))


def test_a_result_is_no_frame_however_it_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sharp.png", "weights.png"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "link.png").symlink_to("sharp.png")
    frames = [str(tmp_path / name) for name in ("a.png", "link.png", "sharp.png", "weights.png")]
    assert leave_out_results(frames, ("./sharp.png", "weights.png")) == frames[:1]
    assert capsys.readouterr().err.count("is left out of the frames: it is the output") == 3
    assert leave_out_results(frames, ("absent.png", None)) == frames
    assert leave_out_results(frames, ("-", None)) == frames
    with pytest.raises(click.UsageError, match="the only frame is the output"):
        leave_out_results(frames[:1], ("a.png", None))


def test_leftovers_go_from_the_folder_that_a_link_leads_to(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("runtime.images.remove_leftovers", seen.append)
    (tmp_path / "link.png").symlink_to(tmp_path / "there" / "a.png")
    remove_leftovers_of([str(tmp_path / "link.png"), str(tmp_path / "there" / "b.png"), "-"])
    assert seen == [str(tmp_path / "there")]


def test_a_folder_without_photographs_says_what_it_looked_for(tmp_path):
    (tmp_path / "._a.jpg").touch()
    with pytest.raises(click.UsageError, match=r"holds no photographs: files named .*png"):
        list_photographs(str(tmp_path))
