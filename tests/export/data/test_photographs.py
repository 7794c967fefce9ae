from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from export.data.photographs import Photographs, find_photographs, read_luminance, split


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_finds_images_below_a_folder_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/one.JPG", "two.png", "notes.txt"):
        (tmp_path / name).touch()
    assert find_photographs(tmp_path) == [tmp_path / "b/one.JPG", tmp_path / "two.png"]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no photographs"):
        find_photographs(tmp_path)


@pytest.mark.parametrize("count", [2, 5, 10, 57])
def test_split_shares_no_image_and_loses_none(tmp_path, count):
    files = [tmp_path / f"{index}.png" for index in range(count)]
    training, validation = split(files)
    assert training
    assert validation
    assert not set(training) & set(validation)
    assert sorted(training + validation) == sorted(files)


def test_one_photograph_cannot_be_split(tmp_path):
    with pytest.raises(ValueError, match="at least two"):
        split([tmp_path / "only.png"])


def test_luminance_is_bt601(tmp_path):
    Image.new("RGB", (4, 3), (200, 100, 50)).save(tmp_path / "plain.png")
    luma = read_luminance(tmp_path / "plain.png")
    assert luma.shape == (3, 4)
    assert abs(int(luma[0, 0]) - (0.299 * 200 + 0.587 * 100 + 0.114 * 50)) <= 1


def test_crops_are_pieces_of_the_photograph_turned_and_mirrored(planes):
    plane = planes[0]
    crops = Photographs([plane]).crops(16, 40, _generator())
    assert crops.shape == (16, 40, 40)
    assert crops.dtype == torch.float32
    windows = np.lib.stride_tricks.sliding_window_view(plane, (40, 40))
    corners = windows[:, :, 0, 0]
    ways = [lambda x, k=k, f=f: np.rot90(x.T if f else x, k) for k in range(4) for f in (False, True)]
    used = set()
    for crop in np.rint(255 * crops.numpy()).astype(np.uint8):
        found = {
            index
            for index, way in enumerate(ways)
            if any((windows[r, c] == way(crop)).all() for r, c in np.argwhere(corners == way(crop)[0, 0]))
        }
        assert found
        used |= found
    assert len(used) == 8


def test_crops_prefer_busy_places():
    plane = np.full((512, 512), 128, np.uint8)
    plane[:128] = np.random.default_rng(0).integers(0, 256, (128, 512))
    crops = Photographs([plane], flat=0.1).crops(200, 33, _generator())
    flat = (crops.std((1, 2)) < 1e-6).float().mean()
    assert 0 < flat <= 0.12


def test_half_size_copies_are_sharper_pixels_of_the_same_image(tmp_path, planes):
    Image.fromarray(planes[-1]).save(tmp_path / "camera.png")
    crops = Photographs.read([tmp_path / "camera.png"]).crops(64, 33, _generator())
    alone = Photographs.read([tmp_path / "camera.png"], halve=False).crops(64, 33, _generator())
    assert not torch.equal(crops, alone)


def test_flat_small_or_no_photographs_are_refused(tmp_path, planes):
    with pytest.raises(ValueError, match="flat everywhere"):
        Photographs([np.zeros((200, 200), np.uint8)])
    Image.new("L", (50, 50)).save(tmp_path / "small.png")
    with pytest.raises(ValueError, match="128 px"):
        Photographs.read([tmp_path / "small.png"])
    with pytest.raises(ValueError, match="smaller than the crops"):
        Photographs([planes[-1][:150, :150]]).crops(4, 200, _generator())
