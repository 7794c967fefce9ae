"""Recorded hand-held camera motion, as paths that blur kernels are drawn along."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_FRAMES = (4, 24)
"""Shortest and longest exposure in frames of the recording."""

_FINER = 8
"""Samples per frame after interpolation."""
_AXES = ("rotation_euler[0]", "rotation_euler[1]")
"""Pitch and yaw of a camera that looks along its own -z axis: they move the image vertically and horizontally."""


class Shake:
    """Recorded rotations of a camera, resampled finely, on one device.

    Parameters
    ----------
    tracks
        Arrays ``(frames, 2)`` of pitch and yaw, each longer than the longest exposure of 24 frames.
    device
        Where they are kept.
    """

    def __init__(self, tracks: list[np.ndarray], device: torch.device | str = "cpu") -> None:
        from scipy.interpolate import CubicSpline

        tracks = [track for track in tracks if len(track) > _FRAMES[1]]
        if not tracks:
            raise ValueError(f"no recording is longer than {_FRAMES[1]} frames; give longer ones")
        fine, starts, length = [], [], 0
        for track in tracks:
            time = np.arange(_FINER * (len(track) - 1) + 1) / _FINER
            fine.append(CubicSpline(np.arange(len(track)), track)(time))
            starts.append(length + np.arange(len(time) - _FINER * _FRAMES[1]))
            length += len(time)
        self._angles = torch.from_numpy(np.concatenate(fine).astype(np.float32)).to(device)
        self._starts = torch.from_numpy(np.concatenate(starts)).to(device)

    @classmethod
    def read(cls, file: str | Path, device: torch.device | str = "cpu") -> Shake:
        """Read a JSON file of tracks: ``{name: {"channels": {"rotation_euler[0]": [[frame, radians], ...]}}}``.

        Raises
        ------
        ValueError
            If the file is something else.
        """
        try:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
            channels = [track["channels"] for track in content.values()]
            tracks = [
                np.stack([np.array(track[axis], float)[:, 1] for axis in _AXES], 1)
                for track in channels
                if all(axis in track for axis in _AXES)
            ]
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"{file}: holds no camera tracks ({error}); give JSON with channels per track") from error
        return cls(tracks, device)

    def paths(self, count: int, samples: int, generator: torch.Generator) -> Tensor:
        """Cut exposures of random length at random moments, turned at random and scaled to the unit square.

        Returns
        -------
        Tensor (count, samples, 2) float32
            Points at equal steps of time; the longer side of each path is 1.
        """
        device = self._angles.device

        def uniform() -> Tensor:
            return torch.rand(count, generator=generator, device=device)

        start = self._starts[torch.randint(len(self._starts), (count,), generator=generator, device=device)]
        length = _FINER * (_FRAMES[0] + (_FRAMES[1] - _FRAMES[0]) * uniform())
        place = length[:, None] * torch.linspace(0, 1, samples, device=device)
        whole = place.long().clamp_(max=_FINER * _FRAMES[1] - 1)
        index = start[:, None] + whole
        drawn = torch.lerp(self._angles[index], self._angles[index + 1], (place - whole)[..., None])
        angle = 2 * math.pi * uniform()
        cos, sin = torch.cos(angle), torch.sin(angle)
        turned = drawn @ torch.stack((torch.stack((cos, -sin), 1), torch.stack((sin, cos), 1)), 1)
        turned = turned - turned.amin(1, keepdim=True)
        return turned / turned.amax((1, 2), keepdim=True).clamp(min=1e-9)
