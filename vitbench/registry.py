"""Names of components -> where they are; a component is imported when it is asked for, not before.

A distribution offers one table, `{"name": "module:attribute"}`, under one entry point. A table is
cheap to import, so listing names imports no component.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from vitbench.errors import BadPlugin, UnknownName, VitbenchError

T = TypeVar("T", covariant=True)
BUNDLED = "vitbench"
GROUPS = {  # what `vitbench list` lists, and the entry-point group of each
    "protocols": "vitbench.protocols",
    "scorers": "vitbench.scorers",
    "backbones": "vitbench.backbones",
    "readers": "vitbench.readers",
    "recipes": "vitbench.recipes",
    "checkpoints": "vitbench.checkpoints",
}


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """One name of one distribution's table."""

    name: str
    distribution: str
    target: str  # "module:attribute"


class Registry(Generic[T]):
    """The components of one kind, from this package and from outside ones.

    Args:
        kind: What a component is called in messages ("protocol").
        group: The entry-point group that tables are offered under.
        check: Returns the component, or raises `BadPlugin` if it fails the contract.
        renamed: Old names that are still understood -> the names of today.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        check: Callable[[object, PluginEntry], T],
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._kind, self._group, self._check, self._renamed = kind, group, check, renamed
        self._checked: dict[PluginEntry, tuple[object, T]] = {}

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for; imports tables only."""
        return tuple(sorted(self._entries[0]))

    def entries(self) -> tuple[PluginEntry, ...]:
        """Every name with the distribution that offers it, sorted by name."""
        return tuple(entry for _, entry in sorted(self._entries[0].items()))

    def problems(self) -> tuple[str, ...]:
        """One sentence for each table that could not be read; the other tables still count."""
        return tuple(self._entries[1])

    def get(self, name: str) -> T:
        """Import one component and check it.

        Raises:
            UnknownName: No table offers the name.
            BadPlugin: Importing it failed, or it fails the contract.
        """
        entry = self._entries[0].get(self._renamed.get(name, name))
        if entry is None:
            raise UnknownName(self._kind, name, self.names())
        module, _, attribute = entry.target.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except VitbenchError:
            raise
        except Exception as error:
            raise BadPlugin(
                f"{self._kind} {name!r} of distribution {entry.distribution!r} can't be imported.",
                expected=f"{entry.target} to be importable",
                found=f"{type(error).__name__}: {error}",
            ) from error
        if entry not in self._checked or self._checked[entry][0] is not found:
            self._checked[entry] = found, self._check(found, entry)
        return self._checked[entry][1]

    @cached_property
    def _entries(self) -> tuple[dict[str, PluginEntry], list[str]]:
        entries: dict[str, PluginEntry] = {}
        problems: list[str] = []
        points = offered(self._group)
        for point in sorted(points, key=lambda point: (point.name != BUNDLED, point.name)):
            distribution = point.dist.name if point.dist else point.name
            try:
                table = _table(point)
            except Exception as error:  # a broken plug-in never hides the others
                problems.append(
                    f"{self._kind}s of distribution {distribution!r} can't be read"
                    f" ({point.value}): {type(error).__name__}: {error}"
                )
                continue
            for name, target in table.items():
                entry = PluginEntry(name, distribution, target)
                entries.setdefault(name, entry)
                if distribution != BUNDLED:
                    entries.setdefault(f"{distribution}/{name}", entry)
        return entries, problems


def offered(group: str) -> EntryPoints:
    """Return the entry points of a group."""
    found: EntryPoints = installed().select(group=group)
    return found


@cache
def installed() -> Any:  # EntryPoints, or before Python 3.12 what selects from them likewise
    """Read what every distribution offers, once: each of hundreds has a file of its own."""
    return entry_points()


def _table(point: EntryPoint) -> dict[str, str]:
    table = point.load()
    if not isinstance(table, dict) or not all(
        isinstance(key, str) and isinstance(value, str) and ":" in value
        for key, value in table.items()
    ):
        raise TypeError('expected a table {"name": "module:attribute"}')
    return table
