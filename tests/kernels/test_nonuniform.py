import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve

import kernels.reference.nonuniform as reference
from kernels.cuda import _module
from kernels.cuda import nonuniform as on_gpu
from kernels.nonuniform import FilterBank, nonuniform_adjoint, nonuniform_convolve
from tests.support.cuda_emulator import MISSING_COMPILER, emulated_module

# Sums of up to a few hundred products of numbers below 1, each rounded to float32.
ROUNDING = 1e-4
OPERATIONS = ["nonuniform_convolve", "nonuniform_adjoint"]


@st.composite
def cases(draw, largest=40):
    """An image of up to four planes, a bank of filters of several sizes with zeros, and a field, smooth or not."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    planes, height, width = draw(st.integers(1, 4)), draw(st.integers(1, largest)), draw(st.integers(1, largest))
    filters = []
    for _ in range(draw(st.integers(1, 5))):
        shape = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        filters.append((random.random(shape) * (random.random(shape) < 0.6)).astype(np.float32))
    blended = draw(st.integers(1, 4))
    indices = random.integers(0, len(filters), (height, width, blended), dtype=np.int32)
    if draw(st.booleans()):
        indices[:] = indices[: height // 2 + 1].repeat(2, axis=0)[:height]
        indices[:] = indices[0, 0]
    weights = random.random((height, width, blended), np.float32) - np.float32(0.3)
    image = random.random((planes, height, width), np.float32) - np.float32(0.5)
    return image, FilterBank.from_filters(filters), indices, weights


@pytest.mark.parametrize("operation", OPERATIONS)
@given(cases())
@settings(max_examples=30)
def test_equals_reference(face, operation, case):
    image, bank, indices, weights = case
    result = getattr(face.nonuniform, operation)(face.put(image), bank, face.put(indices), face.put(weights))
    np.testing.assert_allclose(face.get(result), getattr(reference, operation)(*case), atol=ROUNDING)


@given(cases())
@settings(max_examples=30)
def test_the_adjoint_is_one(face, case):
    image, bank, indices, weights = case
    other = np.random.default_rng(1).random(image.shape, np.float32) - np.float32(0.5)
    there, back = (
        face.get(getattr(face.nonuniform, name)(face.put(array), bank, face.put(indices), face.put(weights)))
        for name, array in zip(OPERATIONS, (image, other), strict=True)
    )
    assert np.vdot(there, other) == pytest.approx(np.vdot(image, back), abs=1e-5 * float(1 + np.abs(there).sum()))


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 2), (4, 7), (35, 9)])
def test_one_filter_everywhere_is_convolution(face, shape):
    random = np.random.default_rng(0)
    kernel, image = random.random(shape, np.float32), random.random((2, 37, 52), np.float32)
    indices, weights = np.zeros((37, 52, 1), np.int32), np.ones((37, 52, 1), np.float32)
    bank = FilterBank.from_filters([kernel])
    result = face.get(face.nonuniform.nonuniform_convolve(face.put(image), bank, face.put(indices), face.put(weights)))
    expected = np.stack([convolve(plane.astype(float), kernel.astype(float))[
        (shape[0] - 1) // 2 :, (shape[1] - 1) // 2 :][:37, :52] for plane in image])  # fmt: skip
    np.testing.assert_allclose(result, expected, atol=ROUNDING)


def test_a_constant_blend_is_the_blended_filter(face):
    random = np.random.default_rng(2)
    filters = [random.random((5, 5), np.float32) for _ in range(3)]
    image, shares = random.random((1, 30, 41), np.float32), np.array([0.5, 0.2, 0.3], np.float32)
    indices = np.broadcast_to(np.arange(3, dtype=np.int32), (30, 41, 3)).copy()
    weights = np.broadcast_to(shares, (30, 41, 3)).copy()
    bank = FilterBank.from_filters(filters)
    result = face.get(face.nonuniform.nonuniform_convolve(face.put(image), bank, face.put(indices), face.put(weights)))
    kernel = np.tensordot(shares, np.stack(filters), axes=1)
    np.testing.assert_allclose(result[0], convolve(image[0], kernel, mode="same"), atol=ROUNDING)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_output_given_is_filled_and_returned(face, operation):
    random = np.random.default_rng(3)
    bank = FilterBank.from_filters([random.random((3, 3), np.float32)])
    arguments = (
        face.put(random.random((2, 9, 20), np.float32)), bank, face.put(np.zeros((9, 20, 1), np.int32)),
        face.put(np.ones((9, 20, 1), np.float32)),
    )  # fmt: skip
    out = face.put(np.full((2, 9, 20), np.nan, np.float32))
    assert getattr(face.nonuniform, operation)(*arguments, out) is out
    np.testing.assert_array_equal(face.get(out), face.get(getattr(face.nonuniform, operation)(*arguments)))


@pytest.mark.skipif(MISSING_COMPILER is not None, reason=str(MISSING_COMPILER))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_gpu_takes_the_nearest_filter_for_an_index_that_has_none(operation, monkeypatch):
    monkeypatch.setattr(_module, "_module", emulated_module)
    random = np.random.default_rng(4)
    bank = FilterBank.from_filters([random.random((3, 3), np.float32) for _ in range(3)])
    image, weights = random.random((1, 9, 20), np.float32), random.random((9, 20, 2), np.float32)
    indices = random.integers(-(2**31), 2**31 - 1, (9, 20, 2)).astype(np.int32)
    found, expected = (getattr(on_gpu, operation)(image, bank, each, weights) for each in (indices, indices.clip(0, 2)))
    np.testing.assert_array_equal(found, expected)


# --- the bank ---


def test_bank_holds_what_it_was_given():
    filters = [np.array([[0, 1, 2]], np.float32), np.array([[3, 0], [0, 4]], np.float32)]
    bank = FilterBank.from_filters(filters)
    assert (len(bank), bank.reach, len(bank.values)) == (2, (1, 1), 4)
    dense = bank.dense()
    np.testing.assert_array_equal(dense[0], [[0, 0, 0], [0, 1, 2], [0, 0, 0]])
    np.testing.assert_array_equal(dense[1], [[0, 0, 0], [0, 3, 0], [0, 0, 4]])


def test_a_filter_of_zeros_gives_zeros():
    bank = FilterBank.from_filters([np.zeros((3, 3), np.float32)])
    image, indices = np.ones((1, 4, 5), np.float32), np.zeros((4, 5, 1), np.int32)
    for operation in (nonuniform_convolve, nonuniform_adjoint):
        np.testing.assert_array_equal(operation(image, bank, indices, np.ones((4, 5, 1), np.float32)), 0)


@pytest.mark.parametrize(
    ("filters", "message"),
    [([], "at least one filter"), ([np.ones(3)], "filter 0"), ([np.eye(2), np.full((2, 2), np.nan)], "filter 1")],
)
def test_bank_refuses_what_is_no_filter(filters, message):
    with pytest.raises(ValueError, match=message):
        FilterBank.from_filters(filters)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": np.ones((4, 5), np.float32)}, ValueError, "image must have shape"),
        ({"image": np.ones((1, 4, 5))}, TypeError, "image must be float32"),
        ({"weights": np.ones((5, 5, 1), np.float32)}, ValueError, "weights must have shape"),
        ({"indices": np.zeros((4, 5, 1))}, TypeError, "indices must be int32"),
        ({"indices": np.zeros((4, 5, 2), np.int32)}, ValueError, "indices must have the shape"),
        ({"indices": np.zeros((4, 5, 2), np.int32)[..., :1]}, ValueError, "C-contiguous"),
        ({"indices": np.full((4, 5, 1), 1, np.int32)}, ValueError, "from 0 to 0"),
        ({"indices": np.full((4, 5, 1), -1, np.int32)}, ValueError, "from 0 to 0"),
        ({"bank": np.ones((1, 3, 3))}, TypeError, "make one with FilterBank.from_filters"),
        ({"out": np.ones((1, 4, 6), np.float32)}, ValueError, "out must have shape"),
    ],
)
@pytest.mark.parametrize("operation", [nonuniform_convolve, nonuniform_adjoint])
def test_refuses_what_does_not_fit(operation, change, error, message):
    arguments = {
        "image": np.ones((1, 4, 5), np.float32),
        "bank": FilterBank.from_filters([np.ones((3, 3), np.float32)]),
        "indices": np.zeros((4, 5, 1), np.int32),
        "weights": np.ones((4, 5, 1), np.float32),
    } | change
    with pytest.raises(error, match=message):
        operation(**arguments)
