"""The contract of a protocol: a frozen dataclass of its settings with one method that scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from vitbench.data.dataset import Dataset
from vitbench.engine.features import FeatureSpec, FeatureTable
from vitbench.errors import BadPlugin
from vitbench.models.backbone import Backbone
from vitbench.records import DataKind, MetricSpec
from vitbench.registry import Claim, Registry

Need = Literal["backbone", "aggregate", "gpu"]
Presets = Mapping[str, Mapping[str, Any]]  # name -> the settings it changes


@dataclass(frozen=True, slots=True)
class Score:
    """One number, in its metric's unit; percent means 0 to 100."""

    metric: str
    value: float | None  # None: not defined on this data
    items: int
    interval: tuple[float, float] | None = None  # 95 %; the engine fills in a mean's


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a protocol found.

    `items` holds `ids` (n,) and, for each metric that is a mean over items, an array (n,) in the
    metric's unit; the engine derives the interval from it. Further arrays are kept beside them.
    """

    scores: tuple[Score, ...]
    items: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)  # files below `context.output`
    notes: tuple[str, ...] = ()


class Context(Protocol):
    """What the engine lends for one run."""

    @property
    def device(self) -> torch.device:
        """Where to compute."""

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """What forward passes run in; use `autocast()`."""

    @property
    def seed(self) -> int:
        """The run's seed; every random draw follows from it."""

    @property
    def scratch(self) -> Path:
        """A folder of this run's identity that outlives a kill: partial work goes here."""

    @property
    def output(self) -> Path:
        """The folder for files that the record names (`Outcome.artifacts`)."""

    @property
    def workers(self) -> int:
        """How many threads or processes may read and decode."""

    def dataset(self, split: str) -> Dataset[Any]:
        """Open a split of the run's data, as the protocol's kind."""

    def features(self, split: str, spec: FeatureSpec) -> FeatureTable:
        """Return image-level features of a split, computed once and cached by content."""

    def autocast(self) -> torch.autocast:
        """Enter the run's precision: `with context.autocast(): backbone(images)`."""

    def progress(self, task: str, done: int, total: int) -> None:
        """Tell how far a long work is; `task` names it on the bar."""

    def note(self, text: str) -> None:
        """Say something that the reader of the record must know."""


@runtime_checkable
class Scoring(Protocol):
    """What protocols and scorers declare about themselves."""

    name: ClassVar[str]  # as typed on the command line
    version: ClassVar[int]  # +1 whenever a score can change
    data: ClassVar[DataKind]
    metrics: ClassVar[tuple[MetricSpec, ...]]
    presets: ClassVar[Presets]
    normalization: ClassVar[Mapping[str, Any]]


class EvaluationProtocol(Protocol):
    """Scores a backbone. A frozen dataclass; its fields are its settings and flags.

    `needs` without "backbone" lets it run on the ground truth alone; `run` then gets None.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    data: ClassVar[DataKind]
    needs: ClassVar[frozenset[Need]]
    metrics: ClassVar[tuple[MetricSpec, ...]]
    presets: ClassVar[Presets]

    def run(self, backbone: Any, context: Context) -> Outcome:
        """Score the backbone (None where none is needed and none was given)."""


class Scorer(Protocol):
    """Scores a folder or file of predictions that anybody made."""

    name: ClassVar[str]
    version: ClassVar[int]
    data: ClassVar[DataKind]
    metrics: ClassVar[tuple[MetricSpec, ...]]
    presets: ClassVar[Presets]

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Score the predictions."""
