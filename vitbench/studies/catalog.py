"""Find a study by its name or file."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from vitbench.errors import SettingError, UnknownName
from vitbench.registry import offered
from vitbench.studies.matrix import Study
from vitbench.studies.read_study import read_study

GROUP = "vitbench.studies"  # entry points of other distributions: packages that hold TOML files
SHIPPED = "vitbench.studies.shipped"
ENDING = ".toml"


def study_names() -> tuple[str, ...]:
    """Return the names of the studies that ship, and of those of plug-ins."""
    return tuple(sorted(_files()))


def find_study(name: str, scale: str = "full") -> Study:
    """Read a study by its name, or from a TOML file.

    Raises:
        UnknownName: There is no such study or scale.
        SettingError: The file can't be read, or something in it is wrong.
    """
    if name.endswith(ENDING):
        path = Path(name).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(
                [f"the study {name!r} can't be read"], expected="a TOML file", found=str(error)
            ) from error
        return read_study(text, path.stem, scale)
    if name not in _files():
        raise UnknownName("study", name, study_names(), hint="or the path of a .toml file")
    return read_study(_files()[name].read_text("utf-8"), name, scale)


@cache
def _files() -> dict[str, Traversable]:
    return {entry.name.removesuffix(ENDING): entry for entry in _entries()}


def _entries() -> Iterator[Traversable]:
    for package in dict.fromkeys((*(p.value for p in offered(GROUP)), SHIPPED)):
        yield from (entry for entry in files(package).iterdir() if entry.name.endswith(ENDING))
