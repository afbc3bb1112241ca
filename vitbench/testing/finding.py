"""The finding of one check of a plug-in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vitbench.errors import Stopped


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, and the problem that it found, if any."""

    check: str
    problem: str  # "" when it passed

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problem


def found_by(checks: dict[str, Callable[[], str]]) -> Iterator[Finding]:
    """Run checks one after the other; an exception of a plug-in's code is what a check found."""
    for name, check in checks.items():
        try:
            yield Finding(name, check())
        except Stopped:  # by the user
            raise
        except Exception as error:  # of code that is not ours
            yield Finding(name, f"{type(error).__name__}: {error}")
            return
