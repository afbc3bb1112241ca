"""What a user can act on: every exception here prints without a traceback and exits with 2.

VitbenchError
├── UnknownName                no such protocol, checkpoint, dataset, recipe or format
├── SettingError               values out of their range; carries every problem found
├── DownloadError              a server that can't be reached, or that does not keep to its word
│   └── ChecksumMismatch
├── CheckpointError
│   ├── UnsafeCheckpoint       weights-only loading refused it
│   └── StateMismatch          keys left over or missing
├── DatasetError
│   ├── DatasetNotFound
│   └── FingerprintMismatch
├── RecordError                a results folder or a record that can't be read or written
├── CacheError                 the cache can't be written: a full disk, no right to
├── MissingAbility             the protocol needs something this backbone lacks
├── MissingDependency          an optional package is not installed
├── BadPlugin                  fails the contract; names distribution and module
├── IncomparableRecords
├── TrainingError              a run that can't go on: a loss not finite, memory gone
└── Stopped                    asked to by a signal, after saving; exits with 75, by ctrl-C with 130
KeyboardInterrupt
└── Terminated                 asked to by SIGTERM or SIGUSR1, where nothing waits for a step's end
"""

import signal
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches

LISTED = 10
STOPPED_AFTER_SAVING = 75  # what a scheduler reads as: put it into the queue again
INTERRUPTED = 130


class VitbenchError(Exception):
    """Something the user can fix, told in up to four parts.

    Args:
        wrong: What is wrong, as a sentence that names the object.
        expected: What would have been right.
        found: What was there instead.
        hint: What to do, a command where there is one.
    """

    exit_code = 2

    def __init__(self, wrong: str, *, expected: str = "", found: str = "", hint: str = "") -> None:
        self.wrong, self.expected, self.found, self.hint = wrong, expected, found, hint
        parts = (("expected", expected), ("found", found), ("try", hint))
        lines = [wrong, *(f"  {label:<9} {text}" for label, text in parts if text)]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process hear of it; kinds of errors are made from arguments of their own."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[VitbenchError], said: tuple[object, ...]) -> VitbenchError:
    return kind.__new__(kind, *said)


class UnknownName(VitbenchError):
    """No such protocol, checkpoint, dataset, recipe or format.

    Args:
        kind: What has no such name.
        name: As typed.
        known: The names that there are.
        first: Those of them that are listed before the others, the nearest first.
        hint: What to do.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        first: Iterable[str] = (),
        hint: str = "",
    ) -> None:
        own = sorted(set(first), key=lambda text: (-_likeness(text, name), text))
        names = [*own, *sorted(set(known) - set(own))]
        near = get_close_matches(name, own, n=1) or get_close_matches(name, names, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"no {kind} {name!r}.{meant}", expected=f"one of {listed(names)}", hint=hint
        )


class SettingError(VitbenchError):
    """Values out of their range; every problem found is told at once."""

    def __init__(
        self, problems: Sequence[str], *, expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            "; ".join(self.problems) if count == 1 else _bullets(self.problems),
            expected=expected,
            found=found,
            hint=hint,
        )


class DownloadError(VitbenchError):
    """A file that can't be fetched: no server, or one that does not keep to its word."""


class ChecksumMismatch(DownloadError):
    """The file is not the one that was asked for."""


class CheckpointError(VitbenchError):
    """A weight file that can't be used."""


class UnsafeCheckpoint(CheckpointError):
    """Weights-only loading refused the file: it would run code."""


class StateMismatch(CheckpointError):
    """Keys of the file left over, or parameters of the model not filled."""


class DatasetError(VitbenchError):
    """A dataset that can't be used as it is."""


class DatasetNotFound(DatasetError):
    """No data where it was looked for."""


class FingerprintMismatch(DatasetError):
    """The data changed since the fingerprint was taken."""


class RecordError(VitbenchError):
    """A results folder or a record that can't be read or written."""


class CacheError(VitbenchError):
    """The cache can't be written."""


class MissingAbility(VitbenchError):
    """The protocol needs something this backbone lacks."""


class MissingDependency(VitbenchError):
    """An optional package is not installed."""

    def __init__(self, package: str, *, needed_for: str, extra: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed.",
            hint=f"pip install 'vitbench[{extra}]'",
        )


class BadPlugin(VitbenchError):
    """A plug-in fails the contract; the message names its distribution and module."""


class IncomparableRecords(VitbenchError):
    """Records of different protocols, settings or data were asked to share a column."""


class TrainingError(VitbenchError):
    """A run that can't go on: a loss that is not finite, or memory that ran out."""


class Stopped(VitbenchError):
    """Long work that was asked to stop, and did so after saving.

    Args:
        number: The signal.
        where: What was saved, in words.
        hint: How to go on from there.
    """

    def __init__(self, number: int, where: str, *, hint: str) -> None:
        self.exit_code = INTERRUPTED if number == signal.SIGINT else STOPPED_AFTER_SAVING
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} after saving {where}.", hint=hint)


class Terminated(KeyboardInterrupt):
    """A command that was asked to stop, where it is, by SIGTERM or SIGUSR1.

    As ctrl-C it passes by every `except Exception`.

    Args:
        number: The signal.
    """

    exit_code = STOPPED_AFTER_SAVING

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")


def listed(names: Sequence[str]) -> str:
    """Write at most ten names on one line, and how many were left out."""
    shown = ", ".join(names[:LISTED])
    rest = len(names) - LISTED
    return (f"{shown}, … ({rest} more)" if rest > 0 else shown) or "(none)"


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.casefold(), other.casefold()).ratio()


def _bullets(problems: Sequence[str]) -> str:
    return f"{len(problems)} problems:\n" + "\n".join(f"  - {problem}" for problem in problems)
