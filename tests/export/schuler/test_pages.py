from __future__ import annotations

import numpy as np
import pytest
import torch

from export.data.photographs import Photographs
from export.schuler import pages
from export.schuler.data import has_gradients
from export.schuler.pages import SIDE, draw_pages


def test_pages_show_something_dark_on_bright_and_bright_on_dark():
    made = draw_pages(6, 0)
    assert all(page.shape == (SIDE, SIDE) and page.dtype == np.uint8 for page in made)
    for page in made[:3]:
        assert 0.02 < (page < 128).mean() < 0.7
    assert np.median(made[0]) > 150 > 100 > np.median(made[3])
    # Thin strokes have edges all over the page.
    crops = Photographs(made).crops(64, 96, torch.Generator().manual_seed(0))
    assert has_gradients(crops).float().mean() > 0.5


def test_the_same_seed_draws_the_same_pages():
    first, second, other = draw_pages(3, 1), draw_pages(3, 1), draw_pages(3, 2)
    for page, same, another in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(page, same)
        assert (page != another).any()


def test_a_machine_without_fonts_is_told_so(monkeypatch, tmp_path):
    pages._fonts.cache_clear()
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda fontext: [])
    with pytest.raises(FileNotFoundError, match="install a TrueType font"):
        draw_pages(1, 0)
    pages._fonts.cache_clear()
