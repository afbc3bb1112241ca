"""The record of one run: subject, protocol, data, machine, scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 2  # 1: data was known by names and sizes, a network by its name and heads

SubjectKind = Literal["checkpoint", "predictions", "ground-truth"]
DataKind = str  # the name that a reader declares: classification, instances, clips, …
Unit = Literal["%", "count", "px", "s", ""]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """The declaration of one number that a protocol gives."""

    name: str  # the key in records: "top1_k20"
    label: str  # what people read: "top-1 (k=20)"
    unit: Unit = "%"
    higher_is_better: bool | None = True  # None: descriptive, never ranked
    primary: bool = False  # exactly one in a protocol
    repeatable: bool = True  # False: a time or a size of memory, which no two runs have equal
    always: bool = True  # False: given with some settings only


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The checkpoint, predictions or annotations that were scored."""

    kind: SubjectKind
    name: str
    aliases: tuple[str, ...] = ()  # other names under which the same subject was typed
    sha256: str  # content: of the backbone's tensors, or of the prediction files
    method: str = ""
    arch: str = ""  # a name; what the network is stands in `network`
    network: Mapping[str, Any] = field(default_factory=dict)  # all that moves a feature
    file_sha256: str = ""
    position_rule: str = ""
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    normalization_from: str = ""  # flag, preset, manifest, file or default
    gate: str = ""  # the sanity check's verdict in words
    training: tuple[int, int] | None = None  # steps done and planned of the run it comes from
    gate_passed: bool | None = None  # None: there was nothing to check


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRef:
    """The protocol with its settings; scores of equal `spec_id` may share a column."""

    name: str
    version: int
    spec_id: str
    preset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The data that the subject was scored on."""

    name: str
    split: str
    kind: DataKind
    items: int
    fingerprint: str = ""  # sha256 of all content that can move a score
    of_items: int | None = None  # items of the whole split, where only some were taken
    classes: int | None = None
    license: str = ""
    item_noun: str = ""  # plural: images, clips, pairs; empty in older records


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScore:
    """One score with label and unit, so that a record can be read by itself."""

    metric: str
    label: str
    value: float | None  # None: not defined on this data
    unit: Unit
    higher_is_better: bool | None
    primary: bool
    items: int
    low: float | None = None  # 95 % interval
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The machine and the installed versions."""

    vitbench: str
    python: str
    platform: str
    packages: Mapping[str, str]
    device: str
    precision: str
    processes: int
    git_commit: str = ""
    git_dirty: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time and memory of the run."""

    seconds: float
    images: int = 0
    images_per_second: float | None = None  # of the feature pass, None when it was cached
    peak_memory_bytes: int | None = None
    feature_cache: str = ""  # "hit", "miss", or "" when no features were asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRef:
    """The error of a run that failed."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run's outcome. Numbers are kept at full precision and rounded only when shown."""

    schema: int = SCHEMA
    id: str  # sha256 of subject, input normalization, protocol, data and seed
    status: Literal["ok", "failed"]
    source: Literal["measured", "published"] = "measured"
    citation: str = ""  # where a published value stands: table, section, paper
    subject: Subject
    protocol: ProtocolRef
    dataset: DatasetInfo | None  # None: the run failed before the data were read
    seed: int
    scores: tuple[RecordedScore, ...] = ()
    environment: Environment
    cost: Cost
    started_at: str  # UTC, ISO 8601
    command: str = ""
    notes: tuple[str, ...] = ()  # what was said aloud: inferred, assumed, skipped
    error: ErrorRef | None = None
    items: str = ""  # file name of the per-item scores beside the record
    artifacts: Mapping[str, str] = field(default_factory=dict)  # name -> path beside the record

    def _repr_html_(self) -> str:
        """Show the record in a notebook."""
        from vitbench.records.inline import record_html

        return record_html(self)

    def primary(self) -> RecordedScore | None:
        """Return the score that stands for the whole record."""
        return next((score for score in self.scores if score.primary), None)
