"""The verdict of the sanity check, kept by content. Imports no torch."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from vitbench.cache import cache_place, find_cached
from vitbench.data.synthetic import VERSION as SYNTHETIC_VERSION
from vitbench.engine.options import Precision
from vitbench.models.known import KnownCheckpoint
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.settings import digest

VERSION = 3  # +1 when a verdict can change
FLOORS = frozenset({"random", "pixels"})  # what others are measured against
NOT_FINITE = "features are not finite"
NOT_RUN = "not run (--no-sanity-check)"  # what a record says of weights that were not checked


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result."""

    passed: bool
    text: str


ADAPTER = TypeAdapter(tuple[Check, ...])


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """The results of all checks."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def finite(self) -> bool:
        """Whether the features are numbers; without that nothing can be scored."""
        return not any(check.text == NOT_FINITE for check in self.checks)

    @property
    def verdict(self) -> str:
        """The outcome in one sentence, for the record."""
        failed = [check.text for check in self.checks if not check.passed]
        return f"failed: {'; '.join(failed)}" if failed else f"passed: {self.checks[-1].text}"


def kept_verdict(known: KnownCheckpoint, precision: Precision) -> SanityCheck | None:
    """Return the verdict on a checkpoint; None where its behavior was not looked at yet.

    Args:
        known: What is said of it.
        precision: Of the forward passes.
    """
    keys = Check(True, known.keys)
    if known.method in FLOORS:
        return SanityCheck((keys, Check(True, f"{known.method}: a floor, nothing to check")))
    checks = _recalled(find_cached(*_place(known, precision)))
    return SanityCheck((keys, *checks)) if checks else None


def keep_verdict(
    known: KnownCheckpoint, precision: Precision, behavior: tuple[Check, ...]
) -> SanityCheck:
    """Keep the checks that ran the network, and return the verdict with them."""
    with suppress(OSError):  # a cache that can't be written costs time alone
        place = cache_place(*_place(known, precision))
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic(place) as path:
            path.write_text(json.dumps([asdict(check) for check in behavior]))
    return SanityCheck((Check(True, known.keys), *behavior))


def _place(known: KnownCheckpoint, precision: Precision) -> tuple[str, str]:
    weights = known.weights.digest
    identity = [VERSION, SYNTHETIC_VERSION, weights, known.mean, known.std, precision]
    return "gate", f"{digest(identity)[:32]}.json"


def _recalled(kept: Path) -> tuple[Check, ...]:
    """Return the results that were kept; none where nothing whole is."""
    found = unless_broken(lambda: ADAPTER.validate_json(kept.read_bytes()))
    return found or ()
