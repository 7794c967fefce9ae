"""Steps along orthogonalised momentum, for small matrices that AdamW trains slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_BETAS = (0.9, 0.98)
_LEAST = 1e-8
_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial that takes singular values in (0, 1] to about 1 when it is applied five times."""
_ROOT_MEAN_SQUARE = 0.2
"""Of a step of a matrix relative to the learning rate: that of AdamW's steps, so that learning rates compare."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024), scaled like AdamW (Liu et al. 2025): all singular values of a step are about the same.

    Filters ``(filters, inputs, side, side)`` count as matrices with a row for each filter. `torch.optim.Muon` takes
    matrices proper only, and works in bfloat16, which is slow on most CPUs.

    Parameters
    ----------
    parameters
        Those to train. What has fewer than two axes is trained by Adam.
    lr
        Learning rate of the matrices.
    other
        Learning rate of the rest, as a share of `lr`.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, other: float) -> None:
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for parameter in parameters:
            (matrices if parameter.ndim > 1 else rest).append(parameter)
        super().__init__([{"params": matrices, "share": 1.0}, {"params": rest, "share": other}], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients; parameters without one stay as they are."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    advance = self._matrix_step if parameter.ndim > 1 else self._adam_step
                    parameter.sub_(advance(parameter), alpha=group["share"] * group["lr"])

    def _matrix_step(self, parameter: Tensor) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(_MOMENTUM).add_(gradient)
        rows = orthogonalise((gradient + _MOMENTUM * momentum).flatten(1))
        return (_ROOT_MEAN_SQUARE * max(rows.shape) ** 0.5 * rows).view_as(parameter)

    def _adam_step(self, parameter: Tensor) -> Tensor:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state |= {"first": torch.zeros_like(parameter), "second": torch.zeros_like(parameter), "steps": 0}
        state["steps"] += 1
        first = state["first"].lerp_(gradient, 1 - _BETAS[0]) / (1 - _BETAS[0] ** state["steps"])
        second = state["second"].lerp_(gradient.square(), 1 - _BETAS[1]) / (1 - _BETAS[1] ** state["steps"])
        return first / (second.sqrt() + _LEAST)


def orthogonalise(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix (rows, columns) with orthonormal rows, or columns if they are fewer.

    By Newton-Schulz iterations; singular values end between 0.7 and 1.2, which serves as well and needs no
    decomposition.
    """
    linear, cubic, quintic = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + _LEAST)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = linear * x + (cubic * gram + quintic * gram @ gram) @ x
    return x.T if tall else x
