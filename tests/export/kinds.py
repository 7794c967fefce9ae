"""A tiny configuration of every kind of network, and networks with random weights."""

from __future__ import annotations

import torch

from export.loop.checkpoints import Checkpoint
from export.onnx.bundles import Trained
from export.onnx.parity import probe_patches, round_weights
from export.registry import kind_of, parse_config

_PATCHES = {"first": 24, "second": 32, "full": 48, "layers": 3, "style": "residual", "spectra": True, "support": 33}
_SHORT = {"learning_rate": 3e-3, "precision": "fp32"}
CONFIGS = {
    "chakrabarti": {
        "network": _PATCHES,
        "train": {**_SHORT, "steps": 60, "batch": 64, "validate_every": 30, "validation": 64},
    },
    "wieschollek": {
        "network": {
            "fusion": {"bands": 8, "kernels": 16, "spectra": 12, "full": 24, "support": 15},
            "restoration": {**_PATCHES, "layers": 1},
        },
        "data": {"frames": [4], "share": 2, "extent": [3.0, 9.0]},
        "train": {**_SHORT, "steps": 40, "batch": 16, "validate_every": 20, "validation": 12},
    },
    "eboli": {
        "network": {"width": 64, "pairs": 1},
        "data": {"shake": 0.0, "process": 0.0, "edge": 0.0, "turning": 0.0},
        "train": {**_SHORT, "steps": 60, "batch": 32, "validate_every": 30, "validation": 32},
    },
    "schuler": {
        "network": {"supports": [3, 5, 7, 9, 11, 13], "filters": 8, "fade": 1.0},
        "data": {"crops": [44, 44, 44, 44, 56, 56]},
        "train": {**_SHORT, "steps": 180, "batch": 8, "validate_every": 90, "validation": 8},
    },
    "kaufman": {
        "network": {
            "analysis": {"filters": 8, "filter": 3, "layers": 1},
            "synthesis": {"widths": [8, 12], "blocks": [1, 1], "hidden": 8},
        },
        "data": {"crop": 48, "periodic": True, "blur": {"size": 41, "grids": [5, 9, 13]}},
        "train": {**_SHORT, "steps": 12, "batch": 4, "validate_every": 6, "validation": 4},
    },
    "analysis": {
        "network": {"filters": 8, "filter": 3, "layers": 1},
        "data": {"crop": 48, "blur": {"size": 41, "grids": [5, 9, 13]}},
        "train": {**_SHORT, "steps": 12, "batch": 4, "validate_every": 6, "validation": 4},
    },
    "kernel-classifier": {
        "network": {"analysis": {"levels": 1, "filters": 8, "filter": 3, "layers": 1}},
        "data": {"crop": 48, "blur": {"size": 41, "grids": [5, 21, 41]}},
        "train": {**_SHORT, "steps": 12, "batch": 4, "validate_every": 6, "validation": 12},
    },
    "synthesis": {
        "network": {"widths": [8, 12], "blocks": [1, 1], "hidden": 8},
        "data": {"crop": 48, "periodic": True, "blur": {"size": 85, "grids": [5, 9]}},
        "train": {**_SHORT, "steps": 60, "batch": 8, "validate_every": 30, "validation": 8},
    },
    "kernel-prior": {
        "network": {"widths": [8, 12, 16], "hidden": 8},
        "simulation": {"sizes": [4, 9], "sides": [80, 100], "turning": 0, "longest": 13},
        "train": {"steps": 240, "warmup": 5, "validate_every": 120},
    },
    "repair": {
        "network": {"widths": [8, 12, 16], "blocks": [1, 1, 1]},
        "scenes": {"side": 80, "sizes": [4, 9]},
        "train": {"steps": 60, "batch": 8, "warmup": 5, "validate_every": 30, "crop": 48, "precision": "fp32"},
    },
}


def config_of(kind):
    return parse_config({"name": f"tiny-{kind}", "description": "for tests", "method": kind, **CONFIGS[kind]})


def make(kind, seed=0):
    """Build a network with random weights that float16 can represent: swapped channels or layers would show."""
    config = config_of(kind)
    row = kind_of(config)
    torch.manual_seed(seed)
    network = row.build(config.network)
    patches = torch.from_numpy(probe_patches(300, 97 if kind == "eboli" else 65, seed))[8:]
    if kind == "wieschollek":
        network.fit(torch.stack([patches, patches.roll(2, 2)], 1))
    elif hasattr(network, "fit"):
        network.fit(patches)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    round_weights(network)
    accuracy = {"all": 1.25}
    checkpoint = Checkpoint(config.to_dict(), network.state_dict(), 64, accuracy, {"examples": 8})
    return Trained(row.spec, config, checkpoint, network.eval().requires_grad_(False))
