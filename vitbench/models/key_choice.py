"""The keys of a file that the user chooses, by a prefix and by patterns to ignore."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from vitbench.errors import CheckpointError, listed
from vitbench.models.weight_places import DEEPEST, dictionaries, tensors_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChoice:
    """The prefix and the ignored patterns that a user gives for a file's keys."""

    prefix: str = ""  # taken off the front of every key; keys without it are left out
    ignore: tuple[str, ...] = ()  # shell patterns of keys that are left out, the prefix taken off

    def chosen(self, content: Mapping[str, Any], *, subject: str) -> Mapping[str, Any]:
        """Return a file's content with the keys that are meant, in every dictionary inside.

        Raises:
            CheckpointError: If no key has the prefix, or nothing is left.
        """
        if not self.prefix and not self.ignore:
            return content
        found = _rebuilt(content, self, DEEPEST)
        if not any(tensors_of(here) for _, here in dictionaries(found)):
            keys = [key for _, here in dictionaries(content) for key in tensors_of(here)]
            raise CheckpointError(
                f"{subject}: no key of a tensor is left.",
                expected=f"keys that begin with {self.prefix!r}"
                if self.prefix
                else f"keys that match none of {listed(list(self.ignore))}",
                found=listed(keys),
                hint="--prefix with how the keys of the network begin, or neither flag",
            )
        return found

    def left_out(self, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Return the keys of a dictionary that are not meant."""
        return tuple(key for key in tensors if self._name(key) is None)

    def _name(self, key: str) -> str | None:
        """Return a key without the prefix, or None if it is left out."""
        if not key.startswith(self.prefix):
            return None
        name = key.removeprefix(self.prefix)
        name = name.removeprefix(".") if self.prefix else name
        return None if any(fnmatchcase(name, pattern) for pattern in self.ignore) else name


def _rebuilt(content: Mapping[str, Any], choice: KeyChoice, depth: int) -> dict[str, Any]:
    rebuilt: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            name = choice._name(str(key))
            if name is not None:
                rebuilt[name] = value
        elif isinstance(value, Mapping) and depth:
            rebuilt[key] = _rebuilt(value, choice, depth - 1)
        else:
            rebuilt[key] = value
    return rebuilt
