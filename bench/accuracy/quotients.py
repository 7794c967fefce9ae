"""``python -m bench schuler``: the network of quotients by stage, kernel, content and noise.

After Schuler et al.: Fig. 2 (later stages are better), Fig. 5 (small kernels are easier), Table 1 (networks for a kind
of content) and Fig. 4 (for a level of noise). All kernels are those of the networks alone, without a search.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt

from bench.accuracy.scoring import score
from bench.data.datasets import NOISE, Plane, Sample, blur_valid, choose, data_folder, levin, sun_style
from bench.data.files import usable_photographs
from bench.options import publish, report_options
from bench.report import Column, Report, Table
from runtime import deconvolve
from runtime.blur.kernel import align, fit
from runtime.estimation.learned import resampling_matrix, scaled_shape
from runtime.estimation.quotients import KernelNetwork, KernelNetworks
from runtime.inference.bundle import load_model
from runtime.inference.devices import Device, download, resolve_device, upload
from runtime.options import ANY, CONTENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CROPS = 32
"""Pictures of each kind."""
SIDE = 256
"""Of a picture in pixels."""
SUN_CASES = 40
"""Cases of `sun`, at most."""
NOISY = 0.05
"""The larger standard deviation of the noise."""
_PAGES_SEED = 2
"""Of the pages; training draws with 0 and 1."""
_BORDER, _SHIFT = 16, 6
"""Pixels at each side that are left out of a score, and the largest shift that it corrects."""


@dataclass(frozen=True)
class Picture:
    """A blurred picture, and the largest side of a kernel that may have blurred it."""

    sample: Sample
    support: int


@click.command("schuler")
@click.option(
    "--photographs", required=True, type=click.Path(exists=True, file_okay=False),
    help="Folder of sharp photographs; those that training validates on are taken.",
)  # fmt: skip
@click.option("--data", help="Folder of the evaluation data.  [default: $DEBLUR_DATA]")
@click.option("--model", default="schuler", show_default=True, help="Bundle, by name or path.")
@click.option(
    "--cases", type=click.IntRange(min=1), default=CROPS, show_default=True, help="Pictures of each kind, or cases."
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:N or auto.")
@report_options()
def schuler(
    photographs: str, data: str | None, model: str, cases: int, device: str, json: Path | None, plot: Path | None
) -> None:
    """Compare stages, sizes of kernels, and networks for a content or a noise, side by side on the same pictures.

    Pages are drawn, landscapes are the crops without edges of photographs that were not trained on. Errors of kernels
    are squared differences at the best shift, relative to the energy of the true one.
    """
    folder, place = data_folder(data), resolve_device(device)
    networks = KernelNetworks(load_model(model), device=place)
    report = Report("schuler", {"model": model, "cases": cases, "device": device, "side": SIDE, "noise": NOISE})
    pictures = {content: draw_pictures(photographs, content, NOISE, networks, cases) for content in CONTENTS}
    noisy = draw_pictures(photographs, ANY, NOISY, networks, cases)
    tables = {
        "stages": lambda: _stages(networks.choose(ANY, NOISE), pictures[ANY], place),
        "scales": lambda: _scales(networks.choose(ANY, NOISE), pictures[ANY], place),
        "sizes": lambda: _sizes(networks.choose(ANY, NOISE), folder, cases, place),
        "content": lambda: _content(networks, pictures, noisy, place),
    }
    for name, measure in tables.items():
        click.echo(name, err=True)
        report.tables = {**report.tables, name: measure()}
        if json:
            report.write_json(json)
    publish(report, json, plot, _draw, (9, 4))


def draw_pictures(folder: str, content: str, noise: float, networks: KernelNetworks, count: int) -> list[Picture]:
    """Draw pictures of a content, blurred by kernels of all sizes of its network in turn.

    Raises
    ------
    InvalidArgument
        If the folder has no photographs that can be used.
    """
    import torch

    from export.data.photographs import Photographs, find_photographs, read_luminance, split
    from export.schuler.data import SchulerData, draw_crops, draw_kernels
    from export.schuler.pages import draw_pages

    supports = networks.choose(content, noise).supports
    if content == "text":
        source = Photographs(draw_pages(count, _PAGES_SEED), "cpu")
    else:
        least = SIDE + supports[-1]
        with usable_photographs():
            validation = map(read_luminance, split(find_photographs(folder))[1])
            planes = [plane for plane in validation if min(plane.shape) >= least]
            if not planes:
                raise ValueError(f"{folder}: no photograph to validate on has {least} px a side; give larger ones")
            source = Photographs(planes, "cpu")
    config, pictures = SchulerData(content=content), []  # type: ignore[arg-type]
    for index in range(count):
        generator = torch.Generator().manual_seed(index)
        support = supports[index % len(supports)]
        kernel = draw_kernels(1, support, config, generator)[0].numpy()
        sharp = draw_crops(source, config, SIDE + support - 1, 1, generator)[0].numpy()
        observed, cropped = blur_valid(sharp, kernel, noise, (index,))
        pictures.append(Picture(Sample(observed, cropped, kernel, _BORDER, _SHIFT), support))
    return pictures


def kernel_error(found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> float:
    """Return the squared difference of two kernels at the best shift, relative to the energy of the truth."""
    side = max(*found.shape, *truth.shape) | 1
    framed = fit(np.asarray(truth, float), side)
    return float(np.square(align(fit(np.asarray(found, float), side), framed) - framed).sum() / np.square(framed).sum())


def _estimate(
    network: KernelNetwork, observed: Plane, device: Device, **options: Any
) -> tuple[npt.NDArray[Any], float]:
    plane, started = upload(np.ascontiguousarray(observed), device), time.perf_counter()
    kernel = download(network.estimate(plane, **options))
    return kernel, time.perf_counter() - started


def _gain(sample: Sample, kernel: npt.NDArray[Any]) -> float:
    """Return the PSNR in dB of a deconvolution by a kernel over that of the observed picture."""
    restored = deconvolve(sample.observed, kernel, method="hyper-laplacian", response="linear", device="cpu")
    return score(restored, sample).psnr - score(sample.observed, sample).psnr


def _stages(network: KernelNetwork, pictures: list[Picture], device: Device) -> Table:
    rows = []
    for support in network.supports:
        mine = [each for each in pictures if each.support == support]
        for stage in range(1, network.assumes.stages + 1):
            found = [_estimate(network, each.sample.observed, device, support=support, stages=stage) for each in mine]
            errors = [kernel_error(kernel, _truth(each)) for (kernel, _), each in zip(found, mine, strict=True)]
            rows.append(
                {"support": support, "stage": stage, "pictures": len(mine)}
                | _spread(errors)
                | {"seconds": float(np.median([seconds for _, seconds in found]))}
            )
    return Table(
        "Stages (Fig. 2)",
        (
            Column("kernel px", "support"), Column("stages", "stage"), Column("pictures", "pictures"),
            Column("kernel's error", "error", ".3f"), Column("median", "median", ".3f"),
            Column("seconds", "seconds", ".3f"),
        ),
        rows,
        notes=(f"Pictures of {SIDE} x {SIDE} px, {NOISE:.0%} noise; each stage after all coarser scales.",),
    )  # fmt: skip


def _scales(network: KernelNetwork, pictures: list[Picture], device: Device) -> Table:
    """Stop at each scale: the kernels are those of the photograph made smaller, enlarged again."""
    finest, rows = network.supports[-1], []
    mine = [each for each in pictures if each.support == finest]
    for support in network.supports:
        errors = []
        for each in mine:
            shape = each.sample.observed.shape[0], each.sample.observed.shape[1]
            small = _resampled(each.sample.observed, scaled_shape(shape, support, finest))
            kernel, _ = _estimate(network, small, device, support=support)
            wide = _resampled(kernel, (finest, finest))
            errors.append(kernel_error(wide / wide.sum(), _truth(each)))
        rows.append({"support": support, "pictures": len(mine)} | _spread(errors))
    return Table(
        f"Scales, kernels of {finest} px",
        (
            Column("up to the scale of px", "support"), Column("pictures", "pictures"),
            Column("kernel's error", "error", ".3f"), Column("median", "median", ".3f"),
        ),
        rows,
    )  # fmt: skip


def _resampled(plane: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Resample a plane (H, W)."""
    rows, cols = (resampling_matrix(old, new) for old, new in zip(plane.shape, shape, strict=True))
    return np.ascontiguousarray(rows @ plane @ cols.T, np.float32)


def _sizes(network: KernelNetwork, folder: Path, cases: int, device: Device) -> Table:
    rows = []
    for name, members in {
        "levin": choose(levin(folder), cases),
        "sun": choose(sun_style(folder), min(2 * cases, SUN_CASES)),
    }.items():
        found: dict[int, list[tuple[float, float, float]]] = {}
        for case in members:
            sample = case.load()
            assert sample.kernel is not None
            kernel, _ = _estimate(network, sample.observed, device)
            size, gain, best = max(sample.kernel.shape), _gain(sample, kernel), _gain(sample, sample.kernel)
            found.setdefault(size, []).append((kernel_error(kernel, sample.kernel), gain, 10 ** ((best - gain) / 10)))
        for size, values in sorted(found.items()):
            errors, gains, ratios = map(list, zip(*values, strict=True))
            rows.append(
                {"set": name, "size": size, "pictures": len(values)}
                | _spread(errors)
                | {"gain": float(np.mean(gains)), "ratio": float(np.mean(ratios))}
                | {"success": float(np.mean([ratio <= 5 for ratio in ratios]))}
            )
    return Table(
        "Sizes of kernels (Fig. 5)",
        (
            Column("set", "set"), Column("kernel px", "size"), Column("pictures", "pictures"),
            Column("kernel's error", "error", ".3f"), Column("gain dB", "gain", "+.2f"),
            Column("error ratio", "ratio", ".2f"), Column("up to 5", "success", ".0%"),
        ),
        rows,
        notes=("Deconvolved by hyper-Laplacian; ratios to the deconvolution with the true kernel.",),
    )  # fmt: skip


def _content(
    networks: KernelNetworks, pictures: dict[str, list[Picture]], noisy: list[Picture], device: Device
) -> Table:
    plain = networks.choose(ANY, NOISE)
    groups = [(content, NOISE, drawn, networks.choose(content, NOISE)) for content, drawn in pictures.items()]
    groups.append((ANY, NOISY, noisy, networks.choose(ANY, NOISY)))
    rows = []
    for content, noise, drawn, own in groups:
        if own is plain and (content, noise) != (ANY, NOISE):
            continue
        values = []
        for each in drawn:
            kernels = [_estimate(net, each.sample.observed, device, support=each.support)[0] for net in (plain, own)]
            tried = [*kernels, _truth(each)]
            errors = [kernel_error(kernel, _truth(each)) for kernel in kernels]
            values.append([*errors, *(_gain(each.sample, kernel) for kernel in tried)])
        means = np.mean(values, axis=0).tolist()
        names = ("agnostic error", "specific error", "agnostic", "specific", "true")
        better = float(np.mean([specific > agnostic for _, _, agnostic, specific, _ in values]))
        rows.append(
            {"content": content, "noise": noise, "pictures": len(drawn), "better": better}
            | dict(zip(names, means, strict=True))
        )
    return Table(
        "Networks for any content at 1 % noise (agnostic), and for this (Table 1, Fig. 4)",
        (
            Column("content", "content"), Column("noise", "noise", ".0%"), Column("pictures", "pictures"),
            Column("agnostic: error", "agnostic error", ".3f"), Column("specific: error", "specific error", ".3f"),
            Column("agnostic: gain dB", "agnostic", "+.2f"), Column("specific: gain dB", "specific", "+.2f"),
            Column("true kernel", "true", "+.2f"), Column("specific better", "better", ".0%"),
        ),
        rows,
        notes=("Gains in PSNR by the same deconvolution (hyper-Laplacian) over the blurred picture.",),
    )  # fmt: skip


def _truth(picture: Picture) -> Plane:
    assert picture.sample.kernel is not None
    return picture.sample.kernel


def _spread(errors: list[float]) -> dict[str, float]:
    return {"error": float(np.mean(errors)), "median": float(np.median(errors))}


def _draw(report: Report, figure: Figure) -> None:
    """Plot errors by stage, and error ratios by size of the kernel."""
    left, right = figure.subplots(1, 2)
    rows = report.tables["stages"].rows
    for support in dict.fromkeys(row["support"] for row in rows):
        mine = [row for row in rows if row["support"] == support]
        left.plot([row["stage"] for row in mine], [row["error"] for row in mine], "o-", label=f"{support} px")
    left.set(xlabel="stages", ylabel="error of the kernel", xticks=[1, 2, 3])
    left.legend()
    rows = report.tables["sizes"].rows
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        right.plot([row["size"] for row in mine], [row["ratio"] for row in mine], "o-", label=name)
    right.set(xlabel="side of the kernel in pixels", ylabel="mean error ratio", yscale="log")
    right.legend()
