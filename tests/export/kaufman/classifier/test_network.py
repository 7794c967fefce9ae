import dataclasses

import pytest
import torch

from export.kaufman.analysis.network import AnalysisConfig
from export.kaufman.classifier.network import Classifier, ClassifierConfig, classes_of

SMALL = AnalysisConfig(side=21, levels=1, filters=4, filter=3, layers=1, maps=3, channels=4, tail=(4,))


def make(extents=(5, 11, 21)):
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(SMALL, extents)).eval().requires_grad_(False)


@pytest.mark.parametrize("shape", [(44, 52), (41, 30)])
def test_each_photograph_has_a_score_for_each_class(shape):
    scores = make()(torch.rand(2, *shape))
    assert scores.shape == (2, 3)
    assert torch.isfinite(scores).all()


def test_photographs_do_not_depend_on_each_other():
    network, observed = make(), torch.rand(3, 40, 40)
    torch.testing.assert_close(network(observed)[1:2], network(observed[1:2]))


def test_brightness_and_contrast_do_not_matter():
    network, observed = make(), torch.rand(1, 40, 40)
    torch.testing.assert_close(network(0.2 + 0.5 * observed), network(observed), atol=1e-3, rtol=1e-2)


def test_all_weights_learn():
    network = make().requires_grad_(True)
    network(torch.rand(2, 40, 40)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


def test_a_class_is_that_of_the_next_larger_extent():
    extents = torch.tensor([1, 5, 7, 11, 13, 21, 23])
    assert classes_of(extents, (5, 11, 21)).tolist() == [0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("extents", [(21,), (11, 5, 21), (5, 11, 19), (0, 21), (5, 5, 21)])
def test_extents_must_increase_to_the_side(extents):
    with pytest.raises(ValueError, match="increase"):
        ClassifierConfig(SMALL, extents)


def test_there_is_one_level():
    with pytest.raises(ValueError, match="levels"):
        ClassifierConfig(dataclasses.replace(SMALL, levels=2), (5, 11, 21))
