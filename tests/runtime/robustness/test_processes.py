"""Deblurrers, results and errors travel between processes."""

import copy
import inspect
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import runtime
from runtime import errors
from tests.support.models import write_burst_bundle, write_patch_bundle


@pytest.fixture
def bundle(tmp_path):
    return write_patch_bundle(tmp_path / "patches", "cores")


@pytest.fixture
def photographs(rng):
    return [rng.random((20 + 2 * number, 24), np.float32) for number in range(3)]


def restored(deblurrer, photograph):
    return deblurrer.restore(photograph, nonblind="none")


def again(thing):
    return pickle.loads(pickle.dumps(thing))


METHODS = multiprocessing.get_all_start_methods()


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_restores_photographs(bundle, photographs, method):
    deblurrer = runtime.Deblurrer(model=bundle, device="cpu", batch=5)
    expected = [restored(deblurrer, photograph) for photograph in photographs]
    work = [(deblurrer, photograph) for photograph in photographs]
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        found = pool.starmap(restored, work)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found += pool.map(restored, *zip(*work, strict=True))
    for result, other in zip(found, expected * 2, strict=True):
        np.testing.assert_array_equal(result.image, other.image)
        assert result.model == deblurrer.name


@pytest.mark.parametrize("travel", [again, copy.copy, copy.deepcopy])
def test_a_deblurrer_arrives_as_what_it_was_loaded_from(bundle, photographs, travel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for model in ("patches", bundle.path, bundle):
        deblurrer = runtime.Deblurrer(model=model, device="cpu", precision="fp32", batch=3)
        other = travel(deblurrer)
        assert other.bundle.path.absolute() == bundle.path
        assert (other.name, other.device) == (deblurrer.name, deblurrer.device)
        assert len(pickle.dumps(deblurrer)) < 2000
        np.testing.assert_array_equal(restored(other, photographs[0]).image, restored(deblurrer, photographs[0]).image)


def test_it_arrives_in_another_folder_and_without_its_models_folder(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_MODELS", str(tmp_path))
    by_name = pickle.dumps(runtime.Deblurrer(model=bundle.name, device="cpu"))
    monkeypatch.delenv("DEBLUR_MODELS")
    monkeypatch.chdir("/")
    assert pickle.loads(by_name).name == bundle.name


def test_the_folder_must_still_be_there(bundle):
    travelling = pickle.dumps(runtime.Deblurrer(model=bundle, device="cpu"))
    shutil.rmtree(bundle.path)
    with pytest.raises(errors.ModelNotFound, match="there is no such folder; copy the model there"):
        pickle.loads(travelling)


def test_results_travel(bundle, photographs, tmp_path):
    result = restored(runtime.Deblurrer(model=bundle, device="cpu"), photographs[0])
    np.testing.assert_array_equal(again(result).image, result.image)
    burst = runtime.Deblurrer(model="fba", device="cpu").restore_burst([photographs[0]] * 2, register=False)
    for other in (again(burst), copy.deepcopy(burst)):
        np.testing.assert_array_equal(other.shares, burst.shares)
        assert other.frames == burst.frames
    network = runtime.Deblurrer(model=write_burst_bundle(tmp_path / "burst").path, device="cpu")
    assert again(network).name == network.name


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments", [("what and how",), (), (2, "what"), (2, "what", "photo.png")])
def test_errors_travel(kind, arguments):
    error = kind(*arguments)
    error.add_note("in photo.png")
    other = again(error)
    assert (type(other), other.args, str(other)) == (kind, error.args, str(error))
    assert other.__notes__ == ["in photo.png"]


def fail(deblurrer):
    deblurrer.restore(np.zeros((3, 3, 7), np.float32))


def test_an_error_in_a_process_is_the_same_error_here(bundle):
    deblurrer = runtime.Deblurrer(model=bundle, device="cpu")
    with (
        multiprocessing.get_context("spawn").Pool(1) as pool,
        pytest.raises(errors.InvalidImage, match=r"\(3, 3, 7\)"),
    ):
        pool.map(fail, [deblurrer])
