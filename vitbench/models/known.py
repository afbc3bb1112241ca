"""What an earlier look found in a checkpoint, kept by content: told again without opening it.

Imports no torch.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from vitbench.cache import cache_place, find_cached
from vitbench.models.constants import PositionRule, Triple
from vitbench.models.identity import WeightsIdentity, identify_weights
from vitbench.outside_files import unless_broken
from vitbench.records import atomic

if TYPE_CHECKING:
    from vitbench.models.asked import AskedCheckpoint
    from vitbench.models.backbone import Backbone
    from vitbench.models.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCheckpoint:
    """All that records and checks say of a checkpoint; its weights stay in its files."""

    name: str
    method: str
    arch: str
    network: dict[str, Any]  # the facts of `WeightsIdentity`
    position_rule: PositionRule
    mean: Triple
    std: Triple
    normalization_from: str
    sha256: str  # of the backbone's tensors by our names
    file_sha256: str
    keys: str  # how the keys of the file were accounted for
    said: tuple[str, ...]  # what was inferred and chosen, as lines for people

    @property
    def weights(self) -> WeightsIdentity:
        """All of the network that can move a feature."""
        return WeightsIdentity(self.sha256, self.network)


ADAPTER = TypeAdapter(KnownCheckpoint)


def known_of(checkpoint: "Checkpoint", backbone: "Backbone") -> KnownCheckpoint:
    """Return what is said of a checkpoint whose network is built."""
    return KnownCheckpoint(
        name=checkpoint.name,
        method=checkpoint.method,
        arch=backbone.info.arch,
        network=dict(identify_weights(backbone, checkpoint.sha256).facts),
        position_rule=backbone.info.position_rule,
        mean=backbone.info.mean,
        std=backbone.info.std,
        normalization_from=checkpoint.normalization_from,
        sha256=checkpoint.sha256,
        file_sha256=checkpoint.file_sha256,
        keys=checkpoint.accounting.summary(),
        said=checkpoint.said,
    )


def recall_checkpoint(asked: "AskedCheckpoint") -> KnownCheckpoint | None:
    """Return what was found when the same was asked for, from the same files by the same code."""
    place = find_cached(*_place(asked.key))
    return unless_broken(lambda: ADAPTER.validate_json(place.read_bytes()))


def remember_checkpoint(key: str, known: KnownCheckpoint) -> None:
    """Keep what was found; a cache that can't be written costs time alone.

    Args:
        key: Of an `AskedCheckpoint`; empty where nothing can be kept.
        known: What was found.
    """
    place = cache_place(*_place(key))
    if not key or place.exists():
        return
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic(place) as path:
            path.write_text(json.dumps(asdict(known)))


def _place(key: str) -> tuple[str, str]:
    return "known", f"{key[:32]}.json"
