import pytest
import torch

from export.kaufman.analysis.network import AnalysisConfig, Features
from export.kaufman.network import Kaufman, KaufmanConfig
from export.kaufman.synthesis.network import SynthesisConfig
from export.registry import read_config


def test_the_kernel_of_the_one_guides_the_other():
    torch.manual_seed(0)
    config = KaufmanConfig(
        AnalysisConfig(side=21, levels=2, filters=4, filter=3, layers=1, maps=3, channels=4),
        SynthesisConfig(side=25, widths=(6, 8), blocks=(1, 1), hidden=5),
    )
    network = Kaufman(config)
    observed, noise = torch.rand(2, 32, 32), torch.full((2,), 0.01)
    kernels, estimates = network(observed, noise)
    torch.testing.assert_close(kernels, network.analysis(observed))
    framed = torch.nn.functional.pad(kernels, (2, 2, 2, 2))
    torch.testing.assert_close(estimates[-1], network.synthesis(observed, framed, noise)[-1])
    estimates[-1].square().sum().backward()
    assert network.analysis.mix.grad.any()


def test_a_kernel_fits_into_the_frame_of_the_synthesis():
    with pytest.raises(ValueError, match="do not fit"):
        KaufmanConfig(AnalysisConfig(side=31), SynthesisConfig(side=21))


def test_the_analysis_at_the_sizes_of_the_paper_has_as_many_weights():
    config = read_config("kaufman-paper").network.analysis
    weights = sum(parameter.numel() for parameter in Features(config).parameters())
    assert weights == pytest.approx(1.9e6, rel=0.05)
