"""A study as data: rows are networks, columns are protocols, and a cell is one score of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vitbench.engine.options import RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.protocol import EvaluationProtocol, protocols
from vitbench.settings import as_dict, digest
from vitbench.settings_by_name import names_of, sorted_by_owner, with_values
from vitbench.studies.training_row import Training

Values = Mapping[str, Any]
KEY = 16  # hexadecimal digits of a request's hash


@dataclass(frozen=True, eq=False)
class Row:
    """One network: a checkpoint, a training that makes one, or none at all (the ground truth)."""

    name: str
    checkpoint: str = ""  # as typed on the command line, with its facts; "": trained, or none
    training: Training | None = None
    printed: str = ""  # id of the printed row, such as table3/dino
    about: Values = field(default_factory=dict)  # further columns, such as epochs
    seeds: tuple[int, ...] = ()  # none: those of the study
    facts: str = ""  # behind the path of a trained checkpoint when it is scored: @NAME=VALUE

    @property
    def spec(self) -> str | None:
        """The checkpoint to score, as typed; None: the ground truth."""
        trained = f"{self.training.folder}{self.facts}" if self.training else None
        return self.checkpoint or trained


@dataclass(frozen=True, eq=False)
class Column:
    """One protocol with its settings, on one data set."""

    name: str
    on: str  # PROTOCOL or PROTOCOL@PRESET
    data: str = ""
    settings: Values = field(default_factory=dict)  # of the protocol and of the run, by name
    metrics: tuple[str, ...] = ()  # to show; none: the primary one
    printed: str = ""  # what printed rows call this column, such as davis

    @cached_property
    def protocol(self) -> EvaluationProtocol:
        """The protocol with its settings.

        Raises:
            UnknownName: There is no such protocol or preset.
            SettingError: There is no such setting.
        """
        name, _, preset = self.on.partition("@")
        component = from_preset(protocols.get(name), preset or None)
        return with_values(component, self._owned[0])

    @cached_property
    def run(self) -> RunOptions:
        """Data and options of the run."""
        return with_values(RunOptions(data=self.data), self._owned[1])

    @cached_property
    def _owned(self) -> list[dict[str, Any]]:
        kind = protocols.get(self.on.partition("@")[0])
        fixed = {"data", "results", "seed", "rerun", "device"}
        free = [name for name in names_of(RunOptions) if name not in fixed]
        groups = {f"{kind.name}'s settings": names_of(kind), "options of the run": free}
        return sorted_by_owner(self.settings, groups)


@dataclass(frozen=True, eq=False)
class Cell:
    """One row, one column and one seed: what one record answers."""

    row: Row
    column: Column
    seed: int = 0
    several: bool = False  # whether there are several seeds, so that the name must tell which

    @property
    def name(self) -> str:
        """How the cell is called on the command line."""
        seed = f"#{self.seed}" if self.several else ""
        return f"{self.row.name}/{self.column.name}{seed}"

    @cached_property
    def request(self) -> dict[str, Any]:
        """What the cell asks for, as far as it is known before any work.

        Files are named by their paths here; what is in them makes the record's identity.
        """
        spec = {
            "name": self.column.protocol.name,
            "version": self.column.protocol.version,
            "settings": as_dict(self.column.protocol, identity_only=True),
            **self.column.run.computing,
        }
        return {
            "checkpoint": self._checkpoint,
            "protocol": spec,
            "data": self.column.data,
            "limit": self.column.run.limit,
            "split_list": self.column.run.split_list,
            "seed": self.seed,
        }

    @property
    def _checkpoint(self) -> str:
        """The checkpoint, paths from the root on; the same before and after it is trained."""
        training = self.row.training
        if training is not None:
            return f"{training.folder.absolute()}{self.row.facts}"
        return _absolute(self.row.checkpoint or "ground truth")

    @cached_property
    def key(self) -> str:
        """The hash of the request, which names the folder of the cell's state."""
        return digest(self.request)[:KEY]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a study is to show: one row above another in some columns."""

    better: str
    than: str
    columns: tuple[str, ...] = ()  # none: all


@dataclass(frozen=True)
class Study:
    """A matrix of cells with what was printed of them and what is claimed."""

    name: str
    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    source: str = ""
    note: str = ""
    claims: tuple[Claim, ...] = ()
    seeds: tuple[int, ...] = (0,)
    left_out: frozenset[str] = frozenset()  # names of cells, as they are without a seed
    slurm: Values = field(default_factory=dict)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, row by row."""
        return tuple(
            Cell(row, column, seed, several=len(row.seeds or self.seeds) > 1)
            for row in self.rows
            for column in self.columns
            for seed in row.seeds or self.seeds
            if f"{row.name}/{column.name}" not in self.left_out
        )

    @property
    def trainings(self) -> tuple[Training, ...]:
        """The trainings of the rows that have cells, each once."""
        used = dict.fromkeys(cell.row.training for cell in self.cells)
        return tuple(training for training in used if training is not None)


def _absolute(spec: str) -> str:
    """Return a checkpoint that is a path from the root on; a name stays as it is."""
    path, at, facts = spec.partition("@")
    return f"{Path(path).expanduser().resolve()}{at}{facts}" if Path(path).exists() else spec
