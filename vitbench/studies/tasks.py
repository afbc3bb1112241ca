"""From the cells that are left to tasks: what one process does, in which order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitbench.settings import as_dict
from vitbench.studies.cell_state import State, Work
from vitbench.studies.matrix import Cell, Study
from vitbench.studies.training_row import Training


@dataclass(frozen=True, slots=True)
class Task:
    """The work of one process: a training, or cells that share a checkpoint."""

    works: tuple[Work, ...]
    needs: Training | None = None  # what must be done before

    @property
    def names(self) -> list[str]:
        """What is done, as it is called on the command line."""
        return [work.name for work in self.works]

    @property
    def title(self) -> str:
        """What is done, in a few words."""
        first, rest = self.names[0], len(self.works) - 1
        return f"{first} and {rest} more" if rest else first


def tasks_of(study: Study, states: Mapping[Work, State], workers: int = 1) -> list[Task]:
    """Return what is left to do: trainings first, then cells, cheap ones before long ones.

    Cells of one checkpoint on the same data go to one process, so that its network is loaded and
    its features are extracted once; with at least as many checkpoints as workers, all its cells.
    """
    left = [training for training in study.trainings if states[training].kind != "done"]
    found = [Task((training,)) for training in left]
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in study.cells:
        if states[cell].kind != "done":
            groups.setdefault((cell.row.spec or "", cell.column.data), []).append(cell)
    if workers <= len({spec for spec, _ in groups}):
        joined: dict[tuple[str, str], list[Cell]] = {}
        for (spec, _), cells in groups.items():
            joined.setdefault((spec, ""), []).extend(cells)
        groups = joined
    for cells in groups.values():
        training = cells[0].row.training
        needs = training if training in left else None
        found.append(Task(tuple(cheap_first(cells)), needs))
    return found


def cheap_first(cells: Iterable[Cell]) -> Sequence[Cell]:
    """Sort cells by the images that their protocol trains on, then by data."""
    return sorted(cells, key=lambda cell: (_trained_images(cell), cell.column.data))


def _trained_images(cell: Cell) -> float:
    return _images(as_dict(cell.column.protocol, identity_only=True))


def _images(settings: Any) -> float:
    """Return the images of all steps that settings speak of; an epoch counts as many steps."""
    if not isinstance(settings, dict):
        return 0.0
    steps = settings.get("steps") or 10_000 * (settings.get("epochs") or 0)
    own = float(steps) * float(settings.get("batch_size") or 1)
    return own + sum(_images(value) for value in settings.values())
