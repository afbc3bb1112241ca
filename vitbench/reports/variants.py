"""What boards of one protocol on one data set are told apart by: a preset, or settings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vitbench.records import DatasetInfo, ProtocolRef

AT_MOST = 2  # settings that are named


def variants(boards: Sequence[tuple[ProtocolRef, DatasetInfo]]) -> list[str]:
    """Return how each board is told from those of its protocol on data of its name.

    Args:
        boards: Protocol and data of each.

    Returns:
        Its preset; where it has none and is not alone, the first settings that others there have
        not, the kinds of its parts before others; else nothing.
    """
    places = [(protocol.name, data.name, data.split) for protocol, data in boards]
    facts = [dict(_facts(protocol.settings)) for protocol, _ in boards]
    found = []
    for (protocol, _), place, mine in zip(boards, places, facts, strict=True):
        group = [other for other, there in zip(facts, places, strict=True) if there == place]
        shared = Counter(fact for other in group for fact in other.items())
        told = [" ".join(fact) for fact in mine.items() if shared[fact] < len(group)]
        found.append(protocol.preset or ", ".join(told[:AT_MOST]))
    return found


def _facts(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by their flags' names, the kinds of parts first."""
    parts = {name: value for name, value in settings.items() if isinstance(value, Mapping)}
    for name, part in parts.items():
        yield f"{before}{name}", str(part.get("kind", ""))
    for name, value in settings.items():
        if name in parts:
            yield from _facts(value, f"{before}{name}.")
        elif name != "kind":
            yield f"{before}{name}", str(value)
