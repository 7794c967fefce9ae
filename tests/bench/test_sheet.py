import numpy as np
from PIL import Image

from bench.datasets import Sample
from bench.evaluation import Result
from bench.sheet import CAPTION, GAP, INSET, WIDTH, Sheet


def test_a_line_shows_results_with_their_kernels_and_then_the_truth(tmp_path):
    shape = (80, 160)
    sharp, grey = np.ones(shape, np.float32), np.full(shape, 0.5, np.float32)
    sample = Sample(grey, sharp, np.ones((1, 1), np.float32), 1)
    kernel = np.zeros((3, 3), np.float32)
    kernel[1, 1] = 0.25
    results = {"input": Result(grey, None, 0.0), "restored": Result(grey, kernel, 0.0)}
    sheet = Sheet()
    for name in ("first", "second"):
        sheet.add(name, sample, results, {"input": {"psnr": 20.0}, "restored": {"psnr": 21.0}})
    sheet.write(tmp_path / "sheet.png")

    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    height = WIDTH // 2
    assert pixels.shape == (2 * (height + CAPTION + GAP), 3 * WIDTH + 2 * GAP)
    middle = CAPTION + height // 2
    assert pixels[middle, WIDTH // 2] == 128
    assert pixels[middle, 2 * (WIDTH + GAP) + WIDTH // 2] == 255
    # The kernel's only pixel is white, its others black, in the corner of the restored picture alone.
    right, bottom = 2 * WIDTH + GAP, CAPTION + height
    assert pixels[bottom - INSET // 2, right - INSET // 2] == 255
    assert pixels[bottom - 2, right - 2] == 0
    assert pixels[bottom - 2, WIDTH - 2] == 128
    assert pixels[:CAPTION].min() < 128


def test_values_out_of_range_are_clipped(tmp_path):
    wild = np.array([[-3.0, 4.0]], np.float32).repeat(40, 1).repeat(40, 0)
    sheet = Sheet()
    sheet.add("wild", Sample(wild, wild, np.ones((1, 1), np.float32), 1), {}, {})
    sheet.write(tmp_path / "sheet.png")
    pixels = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert pixels[CAPTION + 60, 10] == 0
    assert pixels[CAPTION + 60, WIDTH - 10] == 255
