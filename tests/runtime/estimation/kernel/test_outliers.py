import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from runtime.estimation.kernel.outliers import find_outliers
from runtime.options import Options
from runtime.run import Run


@pytest.fixture
def run():
    return Run(Options(quality="fast"))


@pytest.fixture
def photograph(blur):
    return blur(0.004)


def stamped(photograph):
    """The photograph with a word on it that compression has softened, and where it is."""
    picture = Image.new("L", photograph.shape[::-1])
    ImageDraw.Draw(picture).text((90, 150), "28.11.2026", 255, ImageFont.load_default(20))
    ink = np.asarray(picture.reduce(2).resize(picture.size), np.float32) / 255
    return (photograph * (1 - ink) + 0.95 * ink).astype(np.float32), ink > 0.5


def test_what_the_kernel_has_not_blurred_is_an_outlier(photograph, kernel, run):
    image, ink = stamped(photograph)
    outliers = find_outliers(image, kernel.astype(np.float32), run)
    assert outliers[ink].mean() > 0.9
    assert outliers.mean() < 0.08


def test_unknown_pixels_are_no_outliers(photograph, kernel, run):
    image, ink = stamped(photograph)
    rows, cols = np.nonzero(ink)
    known = np.ones(image.shape, bool)
    known[rows.min() - 6 : rows.max() + 7, cols.min() - 6 : cols.max() + 7] = False
    outliers = find_outliers(image, kernel.astype(np.float32), Run(run.options, known=known))
    assert outliers is None or not outliers[ink].any()


def test_a_wrong_kernel_is_not_explained_away(photograph, run):
    wrong = np.zeros((21, 21), np.float32)
    wrong[10] = 1 / 21
    outliers = find_outliers(photograph, wrong, run)
    assert outliers is None or outliers.mean() < 0.08
