"""The usual data set of a protocol or scorer, which is read where `--data` is left out."""

import os
from pathlib import Path

from vitbench.data.dataset import DATA_VARIABLE
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.engine.protocol import Scoring
from vitbench.errors import DatasetNotFound


def data_of(component: Scoring, named: str) -> str:
    """Return the data to read: what was named, else the component's usual set.

    Args:
        component: A protocol or scorer; `default_data` is the name of its usual set, a folder under
            `$VITBENCH_DATA` or the built-in data. One that declares none must be told.
        named: A name or path as typed; empty where nobody named any.

    Raises:
        DatasetNotFound: Nothing was named, and the usual set is not there.
    """
    usual = default_data(component)
    if named or usual == SYNTHETIC:
        return named or usual
    base = os.environ.get(DATA_VARIABLE, "")
    if usual and base and (Path(base).expanduser() / usual).is_dir():
        return str(Path(base).expanduser() / usual)
    if not usual:
        raise DatasetNotFound(
            f"{component.name} has no usual data set, and none was named.",
            hint=f"--data NAME or PATH; --data {SYNTHETIC} for the built-in data",
        )
    raise DatasetNotFound(
        f"no data for {component.name}: its usual data set {usual!r} is not there.",
        expected=f"a folder {usual!r} under ${DATA_VARIABLE}",
        found=_found(base),
        hint=f"--data PATH for another place; --data {SYNTHETIC} for the built-in data",
    )


def default_data(component: Scoring | type[Scoring]) -> str:
    """Return the name of a component's usual data set; empty where it declares none."""
    name: str = getattr(component, "default_data", "")
    return name


def _found(base: str) -> str:
    if not base:
        return f"{DATA_VARIABLE} is not set"
    folder = Path(base).expanduser()
    if not folder.is_dir():
        return f"{DATA_VARIABLE} is {base!r}, which is no folder"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    return f"{DATA_VARIABLE} is {base!r} and holds {', '.join(names) or 'no folders'}"
