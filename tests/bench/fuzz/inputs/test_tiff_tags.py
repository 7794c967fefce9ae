import io

import numpy as np
import pytest
from tifffile import TiffFile

from bench.fuzz.inputs.pictures import picture, pictures
from bench.fuzz.inputs.tiff_tags import TIFF

FILES = [name for name, _ in pictures() if name.startswith("tiff")]


@pytest.mark.parametrize("name", FILES)
def test_every_mutation_reaches_the_directory_of_every_kind_of_file(name):
    data = picture(name)
    for mutation in TIFF:
        changed = [mutation(np.random.default_rng(seed), data) for seed in range(10)]
        assert any(each != data for each in changed), mutation.__name__
        assert changed == [mutation(np.random.default_rng(seed), data) for seed in range(10)]
        assert all(each[:8] == data[:8] for each in changed), "the header stays"


def test_a_chain_of_directories_goes_on():
    chain = next(mutation for mutation in TIFF if mutation.__name__ == "chain")
    for seed in range(20):
        data = chain(np.random.default_rng(seed), picture("tiff-8"))
        with TiffFile(io.BytesIO(data)) as tiff:
            assert tiff.pages[2].shape == (23, 31, 3)


def test_what_is_no_tiff_comes_back():
    for mutation in TIFF:
        for data in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", bytes(100)):
            assert mutation(np.random.default_rng(0), data) == data
