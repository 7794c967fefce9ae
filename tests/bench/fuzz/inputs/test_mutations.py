import numpy as np
import pytest

from bench.fuzz.inputs.mutations import ANY, place, set_number, splice_with, truncate

MUTATIONS = (*ANY, splice_with(bytes(range(100, 200))))
DATA = bytes(range(200))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_changes_bytes_and_depends_on_the_random_numbers_alone(mutation):
    changed = [mutation(np.random.default_rng(seed), DATA) for seed in range(20)]
    assert changed == [mutation(np.random.default_rng(seed), DATA) for seed in range(20)]
    assert all(isinstance(each, bytes) for each in changed)
    assert len({*changed, DATA}) > 10


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_takes_what_little_another_one_has_left(mutation):
    for data in (b"", b"a", b"ab"):
        for seed in range(20):
            mutation(np.random.default_rng(seed), data)


def test_a_number_keeps_the_size_and_truncation_keeps_the_beginning():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert abs(len(set_number(rng, DATA)) - len(DATA)) < 8
        assert DATA.startswith(truncate(rng, DATA))
        assert 0 <= place(rng, DATA) < len(DATA)
