"""Every face shrinks as the reference does, and what it finds is the minimum."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.shrinkage as reference
from kernels.cpu import shrinkage as on_cpu
from kernels.cuda._module import source
from kernels.formulas import hyper_laplacian
from kernels.formulas.hyper_laplacian import EXPONENT, THRESHOLD, unit_scale
from kernels.shrinkage import shrink, shrink_by_table, shrunk_divergence

VALUES = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=30)
COUPLINGS = st.floats(0.5, 2000)


def jumps(values, coupling):
    """Tell where the minimiser jumps from 0 to half the value, so that rounding decides."""
    return np.abs(np.abs(values) / (THRESHOLD * unit_scale(coupling)) - 1) < 1e-5


@given(value=st.floats(-3, 3), coupling=COUPLINGS)
def test_shrink_finds_the_minimum(face, value, coupling):
    def cost(v):
        return np.abs(v) ** EXPONENT + coupling / 2 * (v - np.float32(value)) ** 2

    values = np.array([value], np.float32)
    candidates = np.sign(value) * np.linspace(0, abs(value), 20001)
    least = cost(candidates).min()
    for shrunk in (face.get(face.shrinkage.shrink(face.put(values), coupling)), reference.shrink(values, coupling)):
        assert cost(shrunk.astype(np.float64))[0] <= least + 1e-5 * (1e-3 + least)


@given(VALUES, COUPLINGS)
def test_shrink_equals_reference(face, values, coupling):
    values = np.array(values, np.float32)
    values[jumps(values, coupling)] = 0
    found = face.get(face.shrinkage.shrink(face.put(values), coupling))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference.shrink(values, coupling), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(0,), (7, 0), (2, 3, 5)])
def test_any_shape_is_shrunk(face, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    table = np.array([0, 0, 1], np.float32)
    for found, expected in (
        (face.shrinkage.shrink(face.put(values), 9.0), reference.shrink(values, 9.0)),
        (
            face.shrinkage.shrink_by_table(face.put(values), table, 2.0, 0.3),
            np.sign(values) * np.maximum(np.abs(values) - 0.3, 0),
        ),
    ):
        assert found.shape == shape
        np.testing.assert_allclose(face.get(found), expected, atol=1e-5)


@pytest.mark.parametrize("coupling", [1.0, 100.0])
def test_small_gradients_vanish_and_large_ones_stay(face, coupling):
    small, large = face.get(face.shrinkage.shrink(face.put(np.array([1e-3, 50.0], np.float32)), coupling))
    assert small == 0
    assert large == pytest.approx(50, rel=0.01)


@given(rows=st.integers(1, 30), cols=st.integers(1, 30), coupling=st.floats(1, 1000), seed=st.integers(0, 99))
def test_shrunk_divergence_equals_reference(face, rows, cols, coupling, seed):
    image = np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)
    unsure = np.zeros(image.shape, bool)
    for axis in (0, 1):
        jump = jumps(np.roll(image, -1, axis) - image, coupling)
        unsure |= jump | np.roll(jump, 1, axis)
    found = face.get(face.shrinkage.shrunk_divergence(face.put(image), coupling))
    expected = reference.shrunk_divergence(image, coupling)
    np.testing.assert_allclose(np.where(unsure, 0, found), np.where(unsure, 0, expected), atol=1e-5)


def test_rows_do_not_depend_on_how_they_are_shared_out():
    image = np.random.default_rng(0).random((37, 20)).astype(np.float32)
    whole = np.empty_like(image)
    on_cpu._shrunk_divergence(0, 37, image, np.float32(unit_scale(20.0)), whole)
    np.testing.assert_array_equal(shrunk_divergence(image, 20.0), whole)


def test_the_constants_of_the_cuda_source_are_those_of_python():
    declared = re.findall(r"(\w+) = ([\d.]+)(?:f? / ([\d.]+))?f?[,;]", source("shrinkage"))
    found = {name: float(value) / float(divisor or 1) for name, value, divisor in declared}
    for name in ("EXPONENT", "THRESHOLD", "START", "STEPS"):
        assert np.float32(found[name]) == np.float32(getattr(hyper_laplacian, name)), name


@given(VALUES, st.floats(0.01, 5), st.integers(2, 20), st.floats(0.5, 9))
def test_shrink_by_table_equals_reference(face, values, threshold, entries, reach):
    table = np.random.default_rng(entries).random(entries, np.float32)
    table[0] = 0
    values = np.array(values, np.float32)
    found = face.get(face.shrinkage.shrink_by_table(face.put(values), table, reach, threshold))
    assert found.dtype == np.float32
    expected = reference.shrink_by_table(values, table, reach, threshold)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * (1 + threshold))


VALUE, TABLE = np.zeros((2, 3), "f4"), np.array([0, 0, 1], "f4")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: shrink([0.5], 1.0), TypeError, "expected a numpy or cupy array, got list"),
        (lambda: shrink(VALUE.astype("f8"), 1.0), TypeError, "values must be float32, got float64"),
        (lambda: shrink(VALUE.T, 1.0), ValueError, "values must be C-contiguous"),
        (lambda: shrink(VALUE, 0), ValueError, "coupling must be positive"),
        (lambda: shrink(VALUE, None), TypeError, "coupling must be a number, got NoneType"),
        (lambda: shrunk_divergence(VALUE[0], 1.0), ValueError, r"image must have shape \(any, any\), got \(3,\)"),
        (lambda: shrunk_divergence(VALUE[:0], 1.0), ValueError, "give at least one pixel"),
        (lambda: shrunk_divergence(VALUE, -2.0), ValueError, "coupling must be positive"),
        (lambda: shrink_by_table(VALUE + 0j, TABLE, 2.0, 1.0), TypeError, "values must be float32"),
        (lambda: shrink_by_table(VALUE, [0, 0, 1], 2.0, 1.0), TypeError, "table must be a numpy array, got list"),
        (lambda: shrink_by_table(VALUE, TABLE.astype(int), 2.0, 1.0), TypeError, "table must be float32"),
        (lambda: shrink_by_table(VALUE, TABLE[:1], 2.0, 1.0), ValueError, "table must have at least 2 entries"),
        (lambda: shrink_by_table(VALUE, TABLE, 0.0, 1.0), ValueError, "reach must be positive"),
        (lambda: shrink_by_table(VALUE, TABLE, 2.0, np.inf), ValueError, "threshold must be positive and finite"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
