import click
import pytest

from runtime.cli.paths import check_target, list_photographs
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


def test_a_folder_without_photographs_says_what_it_looked_for(tmp_path):
    (tmp_path / "._a.jpg").touch()
    with pytest.raises(click.UsageError, match=r"holds no photographs: files named .*png"):
        list_photographs(str(tmp_path))
