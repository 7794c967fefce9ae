"""The pair: the analysis network estimates the kernel, which guides the synthesis network (section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from export.kaufman.analysis.network import Analysis, AnalysisConfig
from export.kaufman.synthesis.network import Synthesis, SynthesisConfig


@dataclass(frozen=True)
class KaufmanConfig:
    """Sizes of both networks; their kernels are of one side."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        if self.analysis.side != self.synthesis.side:
            raise ValueError(
                f"both networks take kernels of one side, got {self.analysis.side} and {self.synthesis.side} px"
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
        return kernels, self.synthesis(observed, kernels, noise)
