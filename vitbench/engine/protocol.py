"""The contract of protocols and scorers: a frozen dataclass of settings, one method that scores.

Nothing is inherited. What a component declares about itself are class variables; they are checked
when it is asked for, so a plug-in that misses one is named at the door.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from vitbench.data.dataset import readers
from vitbench.engine.options import Precision
from vitbench.errors import BadPlugin
from vitbench.records import DataKind, MetricSpec
from vitbench.registry import PluginEntry, Registry
from vitbench.settings import facts, problems

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from vitbench.data.kinds import Dataset
    from vitbench.data.transforms import Normalization, Resampling
    from vitbench.engine.features import FeatureSpec, FeatureTable
    from vitbench.models.backbone import Backbone

Need = Literal["backbone", "aggregate", "gpu"]
Presets = Mapping[str, Mapping[str, Any]]  # name -> the settings it fixes; the first is the default


@dataclass(frozen=True, slots=True)
class Score:
    """One number, in its metric's unit; percent means 0 to 100."""

    metric: str
    value: float | None  # None: not defined on this data
    items: int
    interval: tuple[float, float] | None = None  # 95 %; left out, the engine makes it from items


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scores, per-item scores and files of a run.

    `items` holds `ids` (n,) and, under the name of each metric that is a mean over items, an array
    (n,) in the metric's unit; intervals and paired comparisons come from it. `weights` (n,) tells
    how often an item counts in the mean, and `vitbench.score_statistics` what to
    store for scores that are no mean over items (mIoU, AP). Of several processes, the outcome of
    the main one counts: others may return `Outcome(())`.
    """

    scores: tuple[Score, ...]
    items: "Mapping[str, NDArray[Any]]" = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)  # files below `context.output`


class Context(Protocol):
    """What the engine gives to one run of a protocol or scorer."""

    @property
    def device(self) -> "torch.device":
        """Where the backbone computes."""

    precision: Precision  # of forward passes; enter `autocast()`
    resampling: "Resampling"  # of every `ImageView` and `RandomCrops`; `features` sees to its own
    seed: int  # every random draw follows from it
    normalization: "Normalization"  # of the input: flag, else preset, else manifest, else ImageNet
    workers: int  # threads or processes that may read and decode
    batch_size: int | None  # most images of a forward pass, as the user wants it; None: no wish
    scratch: Path  # a folder of this run's identity that outlives a kill: partial work goes here
    output: Path  # where files that the record names go (`Outcome.artifacts`)

    def dataset(self, split: str) -> "Dataset[Any]":
        """Open a split of the run's data, as the component's kind."""

    def features(self, split: str, spec: "FeatureSpec") -> "FeatureTable":
        """Return image-level features of a split, computed once and cached by content."""

    def autocast(self) -> "torch.autocast":
        """Return the context of a forward pass: `with context.autocast(): backbone(images)`."""

    def progress(self, task: str, done: int, total: int, unit: str = "") -> None:
        """Show how far a long work is; `task` names its bar, `unit` what is counted (images)."""

    def note(self, text: str) -> None:
        """Log a remark and keep it in the record."""


class Scoring(Protocol):
    """What protocols and scorers have in common. The fields of the dataclass are the flags.

    Class variables that may be declared: `default_data`, the name of the usual data set, a folder
    under `$VITBENCH_DATA` that is read where `--data` is left out; `preset_notes`, one line for
    each preset (paper, cost); `examples`, commands. Help and `vitbench list` show them, together
    with the first paragraph of the class's docstring, which says what is measured.
    """

    name: ClassVar[str]  # as typed on the command line
    version: ClassVar[int]  # +1 whenever a score can change
    metrics: ClassVar[tuple[MetricSpec, ...]]  # exactly one primary
    presets: ClassVar[Presets]

    @property
    def data(self) -> DataKind:
        """The kind of data that is read: a class variable, or a property of the settings."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read, a class variable if they are fixed; the last one is scored."""


class EvaluationProtocol(Scoring, Protocol):
    """Scores a backbone.

    One that does not need a backbone can run on the ground truth alone; `run` then gets None.
    A property `normalization` (`Normalization` or None) fixes the input where the published
    protocol does. A property `image_size` (H, W) tells that every image passes at one size; where
    that is a network's native size, rules for other sizes can't move the score. A class variable or
    property `follows_resampling` (bool) tells that every image that passes is resized by
    `context.features`, or by an `ImageView` or `RandomCrops` with `context.resampling`; without it,
    `--resampling fast` is refused.
    """

    needs: ClassVar[frozenset[Need]]  # checked before any work

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Score the backbone."""


class Scorer(Scoring, Protocol):
    """Scores a file or folder of predictions that any program wrote.

    A setting `reference` (a path or None) names the data to compare with in place of `--data`.
    """

    def run(self, predictions: Path, context: Context) -> Outcome:
        """Score the predictions."""


def contract_problems(found: Any) -> list[str]:
    """List how a class fails the contract of protocols and scorers, as sentences."""
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        return ["it is no dataclass"]
    fields = {item.name for item in dataclasses.fields(found)}
    taken = sorted(fields & (RESERVED | {*_DECLARED, *_OPTIONAL, "needs"}))
    if taken:
        return [f"its settings {', '.join(taken)} have names that vitbench itself uses"]
    missing = [name for name in _DECLARED if not hasattr(found, name)]
    if missing:
        return [f"it does not declare {', '.join(missing)}"]
    declared: Any = found
    sentences = []
    if not found.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        sentences.append("it is not frozen")
    if sum(metric.primary for metric in declared.metrics) != 1:
        sentences.append("it must have exactly one primary metric")
    if len({metric.name for metric in declared.metrics}) != len(declared.metrics):
        sentences.append("two of its metrics share a name")
    if not isinstance(declared.data, property) and declared.data not in readers.names():
        sentences.append(f"data is {declared.data!r}, expected one of {readers.names()}")
    usual = getattr(found, "default_data", "")
    if not isinstance(usual, str):
        sentences.append(f"default_data is {usual!r}, expected the name of a data set")
    sentences += _wrong_words(declared)
    names = {item.name for item in dataclasses.fields(found)}
    sentences += [
        f"setting {item.name!r} has no help"
        for item in dataclasses.fields(found)
        if not facts(item).help
    ]
    for preset, values in declared.presets.items():
        unknown = sorted(set(values) - names)
        if unknown:
            sentences.append(f"preset {preset!r} fixes {unknown}, which are no settings")
        else:
            sentences += [f"preset {preset!r}: {text}" for text in problems(found(**values))]
    return sentences


# Flags of `vitbench eval` and `vitbench score` that no setting of a component may have the name of.
# `--batch-size` may be a component's own: the batch of its training.
RESERVED = frozenset(
    {
        *("rerun", "data", "device", "limit", "precision", "resampling", "results", "seed"),
        *("arch", "checkpoints", "mean", "native_px", "num_heads", "pooling", "position_rule"),
        *("help", "ignore", "predictions", "prefix", "preset", "split_list", "state_key", "std"),
        *("sanity_check", "skip_corrupt", "store", "timeout_minutes", "tokens", "workers"),
    }
)
_DECLARED = ("name", "version", "data", "splits", "metrics", "presets", "run")
_OPTIONAL = ("default_data", "preset_notes", "examples", "check", "follows_resampling")


def _wrong_words(declared: Any) -> list[str]:
    """List what is wrong in the lines that a class declares for help."""
    sentences = []
    unknown = sorted({*getattr(declared, "preset_notes", ())} - {*declared.presets})
    if unknown:
        sentences.append(f"preset_notes has lines for {unknown}, which are no presets")
    examples = getattr(declared, "examples", ())
    if isinstance(examples, str) or not all(text.startswith("vitbench ") for text in examples):
        sentences.append("examples is no tuple of commands that begin with `vitbench`")
    return sentences


def _checker(*more: str) -> Callable[[object, PluginEntry], Any]:
    def check(found: object, entry: PluginEntry) -> Any:
        sentences = contract_problems(found)
        sentences += [f"it does not declare {name}" for name in more if not hasattr(found, name)]
        if sentences:
            raise BadPlugin(
                f"{entry.name!r} of distribution {entry.distribution!r} ({entry.target}) fails the"
                f" contract: {'; '.join(sentences)}.",
                hint=f"vitbench check-plugin {entry.name}",
            )
        return found

    return check


protocols: Registry[type[EvaluationProtocol]] = Registry(
    "protocol",
    "vitbench.protocols",
    _checker("needs"),
    renamed={"portrait": "feature-pca"},  # for one version
)
scorers: Registry[type[Scorer]] = Registry("kind of predictions", "vitbench.scorers", _checker())
