import click
import numpy as np
import pytest
from PIL import Image

from bench.data.files import find_files, read_photograph, usable_photographs
from runtime.errors import InvalidArgument


@pytest.fixture
def folder(tmp_path):
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "a.png")
    return tmp_path


def test_files_come_in_order(folder):
    assert [file.name for file in find_files(folder, "*.png")] == ["a.png", "b.png"]


def test_a_folder_without_such_files_is_an_error_that_names_the_option(folder):
    with pytest.raises(click.UsageError, match="--data"):
        find_files(folder, "*.jpg")


def test_colours_and_luminance_are_read(folder):
    colours, grey = read_photograph(folder / "b.png"), read_photograph(folder / "a.png")
    assert (colours.shape, grey.shape) == ((4, 5, 3), (4, 5))
    assert colours.dtype == grey.dtype == np.float32
    assert colours[0, 1, 2] == pytest.approx(5 / 255)
    assert read_photograph(folder / "b.png", grey=True).shape == (4, 5)


@pytest.mark.parametrize("kind", [FileNotFoundError, ValueError])
def test_photographs_that_cannot_be_used_are_an_error_of_one_line(kind):
    with pytest.raises(InvalidArgument, match="give larger ones"), usable_photographs():
        raise kind("too small; give larger ones")
