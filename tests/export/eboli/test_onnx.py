from __future__ import annotations

import numpy as np

from export.eboli.network import PATCH
from export.eboli.onnx import SPEC, fourier_tables, probes


def test_the_tables_are_the_transforms():
    tables = fourier_tables()
    plane = np.random.default_rng(0).standard_normal((96, 96))
    product = tables["rows"] @ plane @ tables["cols"]
    real = product[:96, :49] - product[96:, 49:]
    imaginary = product[:96, 49:] + product[96:, :49]
    spectrum = np.fft.rfft2(plane, norm="ortho")
    np.testing.assert_allclose(real**2 + imaginary**2, np.abs(spectrum) ** 2, atol=1e-9)
    power = np.abs(spectrum) ** 2
    across = tables["lag_rows"] @ power
    found = across[:37] @ tables["even"] - across[37:] @ tables["odd"]
    expected = np.roll(np.fft.irfft2(power, s=(96, 96)), 36, axis=1)[:37, :73]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_photographs_add_patches_of_their_own(photographs):
    made_up, both = (np.concatenate([patches for (patches,) in probes(given)]) for given in (None, photographs))
    assert made_up.shape == (72, PATCH, PATCH)
    assert both.shape == (144, PATCH, PATCH)
    assert 0 <= made_up.min() <= made_up.max() <= 1


def test_validation_is_recorded():
    assert SPEC.accuracy({"line": 3.11942}) == {"validation_endpoint_error_px": {"line": 3.119}}
