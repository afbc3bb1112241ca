"""The identity of a network: the values of its weights and the facts of its build."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vitbench.settings import digest, plain

if TYPE_CHECKING:
    from vitbench.models.backbone import Backbone, BackboneInfo

NATIVE = "native size only"  # in the place of a rule that nothing is resized by
# Every other field of an architecture and of a backbone's facts counts.
LEFT_OUT = {
    "name": "a label; the other fields say what the network is",
    "arch": "a label, likewise",
    "mean": "the input's normalization is a part of a run by itself: a protocol may fix it",
    "std": "likewise",
}


@dataclass(frozen=True, slots=True)
class WeightsIdentity:
    """All of a network that can move a feature; equal identities give equal features."""

    sha256: str  # of the values of the tensors by our names
    facts: Mapping[str, Any]  # of the built network: heads, epsilon, pooling, positional rule, …

    @property
    def digest(self) -> str:
        """Everything in one hash (sha256, hexadecimal)."""
        return digest([self.sha256, dict(self.facts)])

    def at(self, image_size: tuple[int, int] | None) -> "WeightsIdentity":
        """Return the identity for images of one size (H, W); None: of any size.

        At the native size no positional table is resized, so the rule for it can't count.
        """
        if image_size is None or list(image_size) != self.facts.get("native_size"):
            return self
        return replace(self, facts={**self.facts, "position_rule": NATIVE})


def identify_weights(backbone: "Backbone", sha256: str) -> WeightsIdentity:
    """Return the identity of a built network.

    The fields of its architecture and of its facts enter by iteration, so that a new one can't be
    forgotten; `LEFT_OUT` names the few that do not.

    Args:
        backbone: The network, filled with its weights.
        sha256: Hash of the weights' values; see `content_sha256`.
    """
    built = _facts(backbone.architecture or backbone.code)
    facts = {**built, **_facts(backbone.info)}
    return WeightsIdentity(sha256, {**facts, "native_size": list(backbone.info.image_size)})


def _facts(described: "Any | BackboneInfo") -> dict[str, Any]:
    return {
        item.name: plain(getattr(described, item.name))
        for item in dataclasses.fields(described)
        if item.name not in LEFT_OUT
    }
