"""Butterflies multiply up to their length, and blocks of rows and columns do not depend on each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cpu.simd.butterflies import PAIR, columns_back, columns_forward, plan, rows_back, rows_forward, scratch
from kernels.cpu.simd.vectors import LANES


@given(st.integers(1, 500))
def test_the_butterflies_of_a_plan_make_up_its_length(length):
    found = plan(length)
    assert math.prod(found.radices.tolist()) == length
    np.testing.assert_allclose(np.hypot(found.cosines, found.sines), 1, atol=1e-6)


@pytest.fixture
def plane():
    return np.random.default_rng(0).normal(size=(PAIR + 5, 2 * LANES + 3)).astype(np.float32)


def test_rows_are_transformed_to_columns_and_back(plane):
    height, width = plane.shape
    across = scratch(height, width)
    rows_forward(0, 2, plane, across, *plan(width))
    expected = np.fft.rfft(plane.astype(np.float64), axis=1).T
    np.testing.assert_allclose(across[0, :, :height] + 1j * across[1, :, :height], expected, atol=1e-4)
    again = np.zeros_like(plane)
    rows_back(0, 2, across, again, *plan(width))
    np.testing.assert_allclose(again * height, plane, atol=1e-4)


def test_columns_are_transformed_and_back(plane):
    height, columns = plane.shape[0], plane.shape[1] // 2 + 1
    across = scratch(*plane.shape)
    across[...] = np.random.default_rng(1).normal(size=across.shape)
    before = across[:, :, :height].copy()
    spectrum = np.empty((height, 2 * columns), np.float32)
    blocks = -(-columns // LANES)
    columns_forward(0, blocks, across, spectrum, *plan(height))
    expected = np.fft.fft(before[0].astype(np.float64) + 1j * before[1], axis=1).T
    np.testing.assert_allclose(spectrum[:, ::2] + 1j * spectrum[:, 1::2], expected, atol=1e-4)
    columns_back(0, blocks, spectrum, across, *plan(height))
    np.testing.assert_allclose(across[:, :, :height] / height, before, atol=1e-5)


def test_one_block_leaves_the_others_alone(plane):
    height, width = plane.shape
    across = np.full_like(scratch(height, width), 7)
    rows_forward(1, 2, plane, across, *plan(width))
    assert (across[:, :, :PAIR] == 7).all()
    whole = scratch(height, width)
    rows_forward(0, 2, plane, whole, *plan(width))
    np.testing.assert_array_equal(across[:, :, PAIR:height], whole[:, :, PAIR:height])
