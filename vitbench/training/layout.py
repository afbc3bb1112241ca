"""The layout of a training file: what our names are called in the code of a method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitbench.errors import CheckpointError, listed

if TYPE_CHECKING:
    from torch import Tensor

Memory = Callable[["Tensor"], "dict[str, Tensor]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A method's training file: what our names are called there, and in which part of it.

    Our names are those of a snapshot: `student.`, `teacher.` and `objectives.`, then the module.
    """

    about: str
    names: tuple[tuple[str, str], ...]  # front of ours -> part/front of theirs; the first that fits
    memory: Mapping[str, Memory]  # our buffer -> the tensors it makes, by part/name
    scored: str = "teacher"  # the side that the method evaluates

    def content(self, ours: "Mapping[str, Tensor]", *, subject: str) -> dict[str, Any]:
        """Return the parts of the file.

        Raises:
            CheckpointError: Some of our weights have no place in this layout.
        """
        parts: dict[str, Any] = {}
        homeless = []
        for name, value in ours.items():
            found = self._places(name, value)
            if not found:
                homeless.append(name)
            for place, tensor in found.items():
                part, _, theirs = place.partition("/")
                parts.setdefault(part, {})[theirs] = tensor.contiguous()
        if homeless:
            raise CheckpointError(
                f"{subject}: some weights have no place in {self.about}.",
                expected=f"names that begin with {', '.join(rule[0] for rule in self.names)}",
                found=listed(homeless),
                hint="vitbench export --help lists the formats",
            )
        return parts

    def _places(self, name: str, value: "Tensor") -> "dict[str, Tensor]":
        if name in self.memory:
            return self.memory[name](value)
        rule = next((rule for rule in self.names if name.startswith(rule[0])), None)
        return {rule[1] + name.removeprefix(rule[0]): value} if rule else {}
