"""What a protocol borrows for one run: data, features, device, places to write, a voice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vitbench.data.dataset import Dataset, open_dataset
from vitbench.data.screen import screen
from vitbench.data.transforms import Normalization
from vitbench.engine.features import FeatureSpec, FeatureTable, Pass, autocast, extract
from vitbench.engine.protocol import Precision
from vitbench.models.backbone import Backbone
from vitbench.records import DataKind
from vitbench.settings import digest

Progress = Callable[[str, int, int], None]
Say = Callable[[str], None]


@dataclass(kw_only=True)
class Data:
    """The data of a run: every split is opened and screened before any long work."""

    name: str
    kind: DataKind
    limit: int | None
    decoded: bool  # whether anybody looks at the images; else they need not be there
    skip_corrupt: int
    workers: int
    progress: Progress
    say: Say
    opened: dict[str, Dataset[Any]] = field(default_factory=dict)

    def dataset(self, split: str) -> Dataset[Any]:
        """Open a split once; broken images are found now."""
        if split not in self.opened:
            dataset = open_dataset(
                self.name, self.kind, split, limit=self.limit, progress=self.progress
            )
            files = getattr(dataset, "files", None)
            if files is not None and self.decoded:
                dataset, dropped = screen(
                    dataset,
                    files,
                    skip=self.skip_corrupt,
                    workers=self.workers,
                    progress=self.progress,
                )
                if dropped:
                    self.say(f"left out {len(dropped)} broken images: {', '.join(dropped)}")
            self.opened[split] = dataset
        return self.opened[split]

    def fingerprint(self, splits: tuple[str, ...]) -> str:
        """Hash all that is read; one split keeps its own fingerprint."""
        marks = [self.dataset(split).info.fingerprint for split in splits]
        return marks[0] if len(marks) == 1 else digest(marks)


@dataclass(kw_only=True)
class RunContext:
    """The engine's `Context`."""

    device: torch.device
    precision: Precision
    seed: int
    normalization: Normalization
    workers: int
    scratch: Path
    output: Path
    data: Data
    backbone: Backbone | None
    content: str
    progress: Progress
    note: Say
    tables: list[FeatureTable] = field(default_factory=list)

    def dataset(self, split: str) -> Dataset[Any]:
        """See `Context.dataset`."""
        return self.data.dataset(split)

    def features(self, split: str, spec: FeatureSpec) -> FeatureTable:
        """See `Context.features`."""
        assert self.backbone is not None, "features of what? the protocol must need a backbone"
        run = Pass(
            backbone=self.backbone,
            content=self.content,
            normalization=self.normalization,
            precision=self.precision,
            device=self.device,
            workers=self.workers,
        )
        table = extract(run, self.dataset(split), spec, self.progress)
        self.tables.append(table)
        return table

    def autocast(self) -> torch.autocast:
        """See `Context.autocast`."""
        return autocast(self.device, self.precision)
