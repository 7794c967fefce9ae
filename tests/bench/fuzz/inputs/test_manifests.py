import copy
import json

import numpy as np
import pytest

from bench.fuzz.inputs.manifests import CHANGES, deep, write
from runtime.inference.bundle import MANIFEST, SHIPPED

CONTENT = json.loads((SHIPPED / "epll-mixture" / MANIFEST).read_text())


@pytest.mark.parametrize("change", sorted(set(CHANGES), key=lambda change: change.__name__), ids=lambda c: c.__name__)
def test_a_change_is_written_as_json_and_depends_on_the_random_numbers_alone(change):
    def changed(seed):
        return write(change(np.random.default_rng(seed), copy.deepcopy(CONTENT)))

    texts = [changed(seed) for seed in range(20)]
    assert texts == [changed(seed) for seed in range(20)]
    assert sum(text != write(CONTENT) for text in texts) > 5
    for text in texts:
        json.loads(text)


def test_brackets_are_nested_deeper_than_python_follows():
    with pytest.raises((RecursionError, json.JSONDecodeError)):
        json.loads(deep(np.random.default_rng(0), b"{}"))
