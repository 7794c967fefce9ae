"""Classes of blur kernels by their size, and an analysis network for each (Kaufman and Fattal 2020, section 3.3).

A network tells the class of a photograph's kernel from correlations of features of the photograph at half its size. The
kernel is then estimated by the network that was trained on kernels of that class alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.arrays import Array
from runtime.estimation.analysis import AnalysisNetwork, KernelAnalysis, halved, informative
from runtime.estimation.correlated import AnalysisAssumptions, CorrelatedFeatures
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download
from runtime.inference.session import open_session

MODEL = "kernel-classifier"
"""Name of the bundle of the classifier."""
SCORES = "scores"
"""Name of the part of a bundle that makes the scores of the classes of correlations."""


@dataclass(frozen=True)
class ClassAssumptions(AnalysisAssumptions):
    """What a classifier was trained with.

    Attributes
    ----------
    classes
        Names of the classes, from small kernels to large ones.
    extents
        Largest extent in pixels of the kernels of each class: the odd side of the square around their centre of mass
        that holds them.
    networks
        Names of the bundles with the analysis network of each class.
    """

    classes: tuple[str, ...] = ("small", "medium", "large")
    extents: tuple[int, ...] = (13, 25, 41)
    networks: tuple[str, ...] = ("analysis-small", "analysis-medium", "analysis-large")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.lags) != 1:
            raise ValueError(f"lags must be those of a single level, got {self.lags}")
        if not self.classes or not len(self.classes) == len(self.extents) == len(self.networks):
            raise ValueError(
                f"classes, extents and networks must be as many of each, got {self.classes}, {self.extents} and "
                f"{self.networks}"
            )


class Classifier:
    """The classifier on a device.

    Parameters
    ----------
    bundle
        As in `CorrelatedFeatures`, with `ClassAssumptions` and a part ``scores``, from ``correlations1`` (batch,
        channels, lags, lags) to ``scores`` (batch, classes), of which the largest counts.
    device, precision
        As in `runtime.inference.session.open_session`.

    Raises
    ------
    InvalidModel
        If the bundle has no such networks.

    Attributes
    ----------
    assumes : ClassAssumptions
    """

    def __init__(self, bundle: Bundle, *, device: Device, precision: str = "auto") -> None:
        self.assumes = bundle.read_assumptions(ClassAssumptions)
        self._features = CorrelatedFeatures(bundle, device=device, precision=precision)
        bundle.part(SCORES).require(
            bundle.path, self._features.shapes, {"scores": ("batch", len(self.assumes.classes))}
        )
        self._scores = open_session(bundle, SCORES, device=device, precision=precision)

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph whose kernel is classified."""
        return 2 * self._features.smallest()

    def classify(self, luminance: Array) -> int:
        """Return the index of the class of a photograph's kernel.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the network; at least `smallest` pixels a side.
        """
        correlations = self._features.correlate(halved(luminance))
        return int(np.argmax(download(self._scores.run(**correlations)["scores"][0])))


class ScaleOptimisedAnalysis:
    """The classifier and the analysis networks of its classes.

    Parameters
    ----------
    general
        The network for kernels of any size, which looks at photographs at half their size.
    device, precision
        As in `runtime.inference.session.open_session`.
    classifier
        Bundle of the classifier; by default the one included in the package.

    Raises
    ------
    ModelNotFound, InvalidModel
        If one of the networks cannot be loaded.
    """

    def __init__(
        self, general: AnalysisNetwork, *, device: Device, precision: str = "auto", classifier: Bundle | None = None
    ) -> None:
        self._classifier = Classifier(classifier or load_model(MODEL), device=device, precision=precision)
        self._classes = self._classifier.assumes.classes
        self._analyses = [
            KernelAnalysis(AnalysisNetwork(load_model(name), device=device, precision=precision), general)
            for name in self._classifier.assumes.networks
        ]

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of any class of which a kernel is estimated."""
        return max(self._classifier.smallest(), *(each.smallest() for each in self._analyses))

    def choose(self, luminance: Array) -> tuple[str, KernelAnalysis]:
        """Return the class of a photograph's kernel, and the analysis for that class.

        Parameters
        ----------
        luminance : (H, W) array of float32
            Values in [0, 1], on the device of the networks; at least `smallest` pixels a side. Of a large photograph
            the window with the strongest edges is looked at.
        """
        index = self._classifier.classify(informative(luminance, self.smallest()))
        return self._classes[index], self._analyses[index]
