"""The network of Schuler et al. 2014: stages that estimate a kernel and a latent image in turn, at three scales.

A stage makes features of the photograph, and of the latent image of the stage before if there is one, divides their
spectra for the kernel (Eq. 4), and with it undoes the blur of the photograph (Eq. 5). Only the features have weights to
speak of. A scale is made for kernels of one size; it starts from the latent image and the kernel of the scale before,
which saw the photograph smaller.

What later work on unrolled deconvolution found keeps the divisions stable: filters of zero mean, no biases, so that
what is flat gives nothing; an estimate that may be tied to the one before; and a threshold relative to a soft maximum.
Convolutions are valid, so that nothing wraps around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.schuler.quotients import fade_borders, kernel_quotient, resample, shape_kernel, undo_blur
from runtime.estimation.learned import QuotientAssumptions, scaled_shape

SCALES, STAGES = 6, 3
RATE = 10.0
"""The numbers of a stage are learned as their natural logarithms over this, so that small steps reach far."""
_GAIN = 5.0
"""Of the first filters: a gradient of 0.2 is where the tangent hyperbolicus bends, for the sharp features of 0.07."""
_BETA, _WEIGHT, _THRESHOLD = 0.01, 0.01, 0.05
"""What the numbers of a stage are at first."""


@dataclass(frozen=True)
class SchulerConfig:
    """Sizes of the network.

    Attributes
    ----------
    supports
        Sides in pixels of the kernels of the scales, odd and increasing. The paper's are 17, 25 and 33; with the three
        before, no scale starts from a photograph that is much less sharp than its filters are wide.
    filters
        Filters of a stage, and images that they are recombined to.
    side
        Side of the filters in pixels, odd; the paper does not give it.
    images
        Pairs of features of the sharp and of the blurred image, by stage.
    tied
        Whether a kernel is tied to the one before (the prior of `kernel_quotient`). That keeps the division stable,
        but stages that start from nearly the truth in training soon learn to repeat what they start from.
    fade, pad
        As in `runtime.estimation.learned.QuotientAssumptions`.
    """

    supports: tuple[int, ...] = (5, 7, 11, 17, 25, 33)
    filters: int = 32
    side: int = 7
    images: tuple[int, int, int] = (4, 4, 8)
    tied: bool = False
    fade: float = 2.0
    pad: float = 1.0

    def __post_init__(self) -> None:
        if min(self.filters, *self.images) < 2 or len(self.images) != STAGES:
            raise ValueError(f"filters and the images of {STAGES} stages must be at least 2, got {self.images}")
        if len(self.supports) != SCALES:
            raise ValueError(f"supports must be {SCALES} sides of kernels, got {self.supports}")
        self.assumptions()

    def assumptions(self) -> QuotientAssumptions:
        """Return what the runtime must know of the network."""
        return QuotientAssumptions(
            supports=self.supports, stages=STAGES, filter=self.side, tied=self.tied, fade=self.fade, pad=self.pad
        )


class Features(nn.Module):
    """Filters, tangent hyperbolicus, recombination, tangent hyperbolicus, recombination (Eq. 2, stacked twice).

    Parameters
    ----------
    inputs
        Planes that are looked at: 1 for the photograph, 2 with the latent image.
    config
        Sizes.
    images
        Pairs of features.
    """

    def __init__(self, inputs: int, config: SchulerConfig, images: int) -> None:
        super().__init__()
        self.images = images
        self.first = nn.Conv2d(inputs, config.filters, config.side, bias=False)
        self.second = nn.Conv2d(config.filters, config.filters, 1, bias=False)
        self.last = nn.Conv2d(config.filters, 2 * images, 1, bias=False)
        self._start()

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, inputs, H, W)`` to sharp and blurred features, ``(N, images, H - side + 1, W - side + 1)`` each."""
        hidden = tanh(F.conv2d(planes, centred(self.first.weight)))
        # Spectra are divided in full precision, whatever that of the layers.
        features = self.last(tanh(self.second(hidden))).float()
        return features[:, : self.images], features[:, self.images :]

    def _start(self) -> None:
        """Begin with gradients: of the last plane steep ones for what is sharp, of the photograph gentle ones."""
        filters, _, side, _ = self.first.weight.shape
        with torch.no_grad():
            nn.init.normal_(self.first.weight, std=_GAIN / side**2)
            nn.init.normal_(self.second.weight, std=0.3 * filters**-0.5)
            self.second.weight += torch.eye(filters)[:, :, None, None]
            nn.init.normal_(self.last.weight, std=0.1 * filters**-0.5)
            slopes = _slopes(side)
            for index in range(min(2 * len(slopes), filters)):
                sharp, slope = index < len(slopes), slopes[index % len(slopes)]
                self.first.weight[index] *= 0.1
                self.first.weight[index, -1 if sharp else 0] += (3 if sharp else 1) * _GAIN * slope
            for index in range(min(self.images, len(slopes))):
                self.last.weight[index, index] += 1
                if index + len(slopes) < filters:
                    self.last.weight[self.images + index, index + len(slopes)] += 1


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent by way of the logistic function, which PyTorch computes four times as fast."""
    return 2 * torch.sigmoid(2 * x) - 1


def centred(weight: Tensor) -> Tensor:
    """Take the mean out of each plane of filters ``(filters, inputs, side, side)``."""
    return weight - weight.mean((2, 3), keepdim=True)


def _slopes(side: int) -> list[Tensor]:
    """Return derivatives of Gaussians ``(side, side)`` of two widths along rows and columns, of absolute sum 1."""
    place = torch.arange(side, dtype=torch.float32) - side // 2
    made = []
    for width in (0.6, 1.2):
        bell = torch.exp(-0.5 * (place / width) ** 2)
        slope = torch.outer(bell, place * bell)
        slope = slope / slope.abs().sum()
        made += [slope, slope.T]
    return made


class Stage(nn.Module):
    """Features, kernel and latent image.

    The three numbers learned beside the features are kept as logarithms: ``beta`` of the tie to the kernel before,
    ``weight`` of the energy of the latent image, and ``threshold`` of the kernel.
    """

    def __init__(self, inputs: int, config: SchulerConfig, images: int) -> None:
        super().__init__()
        self.features = Features(inputs, config, images)
        self.numbers = nn.Parameter(torch.log(torch.tensor([_BETA, _WEIGHT, _THRESHOLD])) / RATE)

    def forward(self, planes: Tensor, support: int, fade: int, prior: Tensor | None) -> Tensor:
        """Estimate kernels (N, support, support) from planes (N, inputs, H, W) and the kernels before."""
        beta, _, threshold = quotient_numbers(self.numbers)
        x, y = (fade_borders(part, fade) for part in self.features(planes))
        return shape_kernel(kernel_quotient(x, y, support, beta, prior), threshold)

    def take(self, other: Stage) -> None:
        """Take over the weights of another stage; pairs of features that it lacks stay as they are."""
        own, count = self.features, min(self.features.images, other.features.images)
        with torch.no_grad():
            if own.first.weight.shape == other.features.first.weight.shape:
                own.first.weight.copy_(other.features.first.weight)
                own.second.weight.copy_(other.features.second.weight)
                for mine, theirs in ((0, 0), (own.images, other.features.images)):
                    own.last.weight[mine : mine + count] = other.features.last.weight[theirs : theirs + count]
            self.numbers.copy_(other.numbers)

    def weight(self) -> Tensor:
        """Return the weight of the latent image's energy."""
        return quotient_numbers(self.numbers)[1]


def quotient_numbers(numbers: Tensor) -> Tensor:
    """Return beta, weight and threshold ``(3,)`` of the learned logarithms; the last is below a half."""
    return torch.exp(RATE * numbers).clamp(max=torch.tensor([1e6, 1e2, 0.5], device=numbers.device))


class Schuler(nn.Module):
    """Scales of three stages each.

    Parameters
    ----------
    config
        Sizes.
    """

    trained: Tensor

    def __init__(self, config: SchulerConfig) -> None:
        super().__init__()
        self.config, self.assumes = config, config.assumptions()
        self.scales = nn.ModuleList(
            nn.ModuleList(
                Stage(1 if scale == stage == 0 else 2, config, images) for stage, images in enumerate(config.images)
            )
            for scale in range(len(config.supports))
        )
        # How many stages of each scale are trained, which a bundle states.
        self.register_buffer("trained", torch.zeros(len(config.supports)))

    def forward(
        self,
        observed: Tensor,
        scale: int = -1,
        stages: int = STAGES,
        learning: int = 0,
        guide: Guide | None = None,
    ) -> list[Tensor]:
        """Estimate the kernels of photographs whose kernels are of one scale's size.

        Parameters
        ----------
        observed : Tensor (N, H, W)
            Luminance, values in [0, 1].
        scale
            Index of that scale, by default the last; those before it run on the photographs made smaller, without
            gradients.
        stages
            Stages of that scale that run, at least 1.
        learning
            Index of the first stage with gradients.
        guide
            Draws what each stage starts from towards the truth; the same shares at every stage.

        Returns
        -------
        list of Tensor (N, support, support)
            Kernels of each stage of that scale, non-negative and of sum 1.

        Raises
        ------
        ValueError
            If the photographs are too small for kernels of that size.
        """
        scale %= len(self.config.supports)
        support = self.config.supports[scale]
        height, width = observed.shape[1], observed.shape[2]
        if min(height, width) < self.assumes.smallest(support):
            raise ValueError(
                f"photographs of {height} x {width} px are too small for kernels of {support} px: "
                f"{self.assumes.smallest(support)} px or more are needed on each side"
            )
        kernel, latent = self._before(observed, scale, guide) if scale else (None, None)
        kernels: list[Tensor] = []
        fade = round(self.config.fade * support)
        for index in range(stages):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= learning):
                if index:
                    kernel = kernels[-1] if guide is None else guide.draw(kernels[-1])
                    latent = self._undo(observed, kernel, scale, index - 1)
                planes = [observed] if latent is None else [observed, latent]
                stage, prior = self.stage(scale, index), kernel if self.config.tied else None
                kernels.append(stage(torch.stack(planes, 1), support, fade, prior))
        return kernels

    def stage(self, scale: int, index: int) -> Stage:
        """Return one stage of one scale."""
        found = cast(nn.ModuleList, self.scales[scale])[index]
        return cast(Stage, found)

    def inherit(self, scale: int, stage: int) -> None:
        """Give a stage the weights of its like at the coarser scale, and at the coarsest of the stage before it.

        All stages that see a latent image improve what they start from, so that one learns from where another is. The
        first two of the coarsest scale begin from nothing.
        """
        if scale:
            self.stage(scale, stage).take(self.stage(scale - 1, max(stage, 1) if scale == 1 else stage))
        elif stage > 1:
            self.stage(scale, stage).take(self.stage(scale, stage - 1))

    @torch.no_grad()
    def _before(self, observed: Tensor, scale: int, guide: Guide | None) -> tuple[Tensor, Tensor]:
        """Return kernel and latent image of the coarser scale, resampled to this one."""
        support, coarser = self.config.supports[scale], self.config.supports[scale - 1]
        shape = observed.shape[1], observed.shape[2]
        small = resample(observed, scaled_shape(shape, coarser, support))
        kernel = self.forward(small, scale - 1)[-1]
        if guide is not None:
            kernel = guide.draw(kernel)
        latent = resample(self._undo(small, kernel, scale - 1, STAGES - 1), shape)
        return rescale(kernel, support), latent

    def _undo(self, observed: Tensor, kernel: Tensor, scale: int, stage: int) -> Tensor:
        pad = round(self.config.pad * self.config.supports[scale])
        return undo_blur(observed, kernel, self.stage(scale, stage).weight(), pad)


class Guide(NamedTuple):
    """What training draws the estimates towards, so that a stage also learns from starts that are nearly right.

    Attributes
    ----------
    truth : Tensor (N, K, K)
        The true kernels.
    shares : Tensor (N,)
        Share of the estimate, from 0 (the truth) to 1 (the estimate as it is).
    """

    truth: Tensor
    shares: Tensor

    def draw(self, kernels: Tensor) -> Tensor:
        """Mix estimates (N, K, K) of any scale with the truth at that scale."""
        truth = rescale(self.truth, kernels.shape[1])
        return torch.lerp(truth, kernels, self.shares.to(kernels)[:, None, None])


def rescale(kernels: Tensor, support: int) -> Tensor:
    """Resample kernels (N, K, K) of sum 1 to another side."""
    if kernels.shape[1] == support:
        return kernels
    resampled = resample(kernels, (support, support))
    return resampled / resampled.sum((1, 2), keepdim=True)
