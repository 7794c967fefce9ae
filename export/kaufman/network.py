"""The pair: the analysis network estimates the kernel, which guides the synthesis network (section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from export.kaufman.analysis.network import Analysis, AnalysisConfig
from export.kaufman.synthesis.network import Synthesis, SynthesisConfig


@dataclass(frozen=True)
class KaufmanConfig:
    """Sizes of both networks; the frame of the kernels is at least as large in the synthesis."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        if self.analysis.side > self.synthesis.side:
            raise ValueError(
                f"kernels of {self.analysis.side} px do not fit into the {self.synthesis.side} px of the synthesis"
            )


class Kaufman(nn.Module):
    """Both networks.

    Parameters
    ----------
    config
        Their sizes.
    """

    def __init__(self, config: KaufmanConfig | None = None) -> None:
        super().__init__()
        self.config = config or KaufmanConfig()
        self.analysis = Analysis(self.config.analysis)
        self.synthesis = Synthesis(self.config.synthesis)

    def forward(self, observed: Tensor, noise: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Estimate kernels and latent planes.

        Parameters
        ----------
        observed : Tensor (N, H, W)
            Luminance of about [0, 1], blurred as if periodic.
        noise : Tensor (N,)
            Standard deviations.

        Returns
        -------
        kernels : Tensor (N, side, side)
        estimates : list of Tensor (N, H, W)
            Of all stages of the synthesis.
        """
        kernels = self.analysis(observed)
        return kernels, self.synthesise(observed, kernels, noise)

    def synthesise(self, observed: Tensor, kernels: Tensor, noise: Tensor) -> list[Tensor]:
        """Estimate latent planes with given kernels, in the frame of the analysis network."""
        spare = (self.config.synthesis.side - kernels.shape[-1]) // 2
        return self.synthesis(observed, F.pad(kernels, (spare,) * 4), noise)
