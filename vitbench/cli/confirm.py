"""Asking before files are removed for good."""

import sys
from collections.abc import Sequence

from vitbench.errors import SettingError

SHOWN = 40  # lines


def confirm(lines: Sequence[str], question: str, *, yes: bool) -> bool:
    """List the things that would be removed, and ask whether to remove them.

    Args:
        lines: One a thing that would be removed.
        question: Ends with what is asked.
        yes: Whether the answer was given beforehand.

    Raises:
        SettingError: Nobody can be asked.
    """
    print("\n".join(lines[:SHOWN]))
    if len(lines) > SHOWN:
        print(f"… and {len(lines) - SHOWN:,} more")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise SettingError(
            ["nothing was removed: nobody can be asked, as the input is no terminal"],
            hint="the same command with --yes",
        )
    return input(f"{question} [y/N] ").strip().casefold() in {"y", "yes"}
