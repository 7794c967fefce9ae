import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.deconvolution import cpu
from runtime.deconvolution.mixture import load_mixture


@given(count=st.integers(0, 3 * cpu.BLOCK))
def test_every_patch_is_restored_alone(count):
    tables = load_mixture().tables(0.01)
    patches = np.random.default_rng(count).random((count, 64)).astype(np.float32)
    together = cpu.restore_patches(patches, tables)
    alone = [cpu.restore_patches(patch[None], tables)[0] for patch in patches[-2:]]
    assert together.shape == patches.shape
    np.testing.assert_allclose(together[-2:], np.reshape(alone, (-1, 64)), atol=1e-5)


def test_many_threads_at_once():
    tables = load_mixture().tables(0.01)
    patches = np.random.default_rng(0).random((500, 64)).astype(np.float32)
    expected = cpu.restore_patches(patches, tables)
    results = [None] * 4

    def work(index):
        results[index] = cpu.restore_patches(patches, tables)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)
