"""Training of the classifier on the crops of the analysis network, by cross-entropy (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from export.kaufman.analysis.train import AnalysisTrainer, analysis_of, require_frame
from export.kaufman.classifier.network import Classifier, ClassifierConfig, classes_of
from export.kaufman.data import Examples, KaufmanData, kernel_extents
from export.loop.checkpoints import Checkpoint
from export.loop.config import SyntheticRunConfig


@dataclass(frozen=True)
class ClassifierRunConfig(SyntheticRunConfig):
    """A run of the classifier: its name, shape, data and training.

    Attributes
    ----------
    classes, networks
        Names of the classes, and of the bundles with the analysis network of each.
    """

    method: Literal["kernel-classifier"] = "kernel-classifier"
    network: ClassifierConfig = field(default_factory=ClassifierConfig)
    data: KaufmanData = field(default_factory=KaufmanData)
    classes: tuple[str, ...] = ("small", "medium", "large")
    networks: tuple[str, ...] = ("analysis-small", "analysis-medium", "analysis-large")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_frame(self.data, self.network.analysis)
        if not len(self.classes) == len(self.networks) == len(self.network.extents):
            raise ValueError(f"classes and networks must name one for each of {len(self.network.extents)} ranges")


class ClassifierTrainer(AnalysisTrainer):
    """Trains the classifier; validation measures the share of the crops of each class whose class is found."""

    measure = "all"
    config: ClassifierRunConfig
    network: Classifier

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Measure the cross-entropy, and the share that is right of each class that there is and of all."""
        found = torch.cat([self.network(part.observed) for part in self._validation_parts()])
        truth = self._truth(self._validation["all"])
        right = (found.argmax(1) == truth).float()
        shares = {
            f"up to {largest} px": float(right[truth == index].mean())
            for index, largest in enumerate(self.config.network.extents)
            if (truth == index).any()
        }
        return {"cross-entropy": float(F.cross_entropy(found, truth)), **shares, "all": float(right.mean())}

    def _create_network(self) -> Classifier:
        return Classifier(self.config.network)

    def _take_weights(self, start: Checkpoint) -> int:
        """Take over the weights of a classifier, or of an analysis network or a pair what is of the same shape."""
        if start.method == self.config.method:
            return super()._take_weights(start)
        analysis = analysis_of(start) if start.method == "kaufman" else start
        self.network.features.load_state_dict(
            {name: analysis.weights[f"features.{name}"] for name in self.network.features.state_dict()}
        )
        self.network.mix.data.copy_(analysis.weights["mix"][:1])
        return 0

    def _loss(self, batch: Examples) -> Tensor:
        with self._autocast():
            scores = self.network(batch.observed)
        return F.cross_entropy(scores.float(), self._truth(batch))

    def _truth(self, examples: Examples) -> Tensor:
        return classes_of(kernel_extents(examples.kernels), self.config.network.extents)
