"""Look for what would stop a study before any work is done: data, checkpoints, abilities."""

from collections.abc import Iterable, Iterator, Mapping

from vitbench.engine.context import open_data
from vitbench.errors import SettingError, VitbenchError
from vitbench.studies.matrix import Cell
from vitbench.studies.training_row import Training


def missing_data(cells: Iterable[Cell], trainings: Iterable[Training]) -> list[str]:
    """List the data sets that can't be opened, each once with its error. Imports no torch."""
    found = dict(_data_faults(cells))
    for training in trainings:
        from vitbench.data.dataset import find_root
        from vitbench.data.synthetic import NAME

        if training.data != NAME and "://" not in training.data and "{" not in training.data:
            try:
                find_root(training.data)
            except VitbenchError as error:
                found[training.data] = f"training of {training.name}: {error}"
    return list(found.values())


def _data_faults(cells: Iterable[Cell]) -> Iterator[tuple[str, str]]:
    seen = set()
    for cell in cells:
        column = cell.column
        if column not in seen:
            seen.add(column)
            try:
                open_data(column.protocol, column.run, pixels=cell.row.spec is not None)
            except VitbenchError as error:
                yield column.name, f"{column.name}: {error}"


def broken_checkpoints(specs: Mapping[str, str]) -> list[str]:
    """List the checkpoints that can't be read, each with its error; imports torch.

    Args:
        specs: Checkpoints as typed, by the names of their rows.
    """
    from vitbench.models.checkpoint import resolve

    found = []
    for name, spec in specs.items():
        try:
            resolve(spec)
        except VitbenchError as error:
            found.append(f"{name}: {error}")
    return found


def refuse(faults: list[str]) -> None:
    """Raise everything that was found as one error.

    Raises:
        SettingError: Something was found.
    """
    if faults:
        raise SettingError(faults, hint="nothing was started; `skip` leaves cells of a study out")
