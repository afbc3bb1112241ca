"""Any frozen protocol over all blocks: which block is best?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vitbench.api import (
    Context,
    DataKind,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    errors,
    from_preset,
    protocols,
    setting,
)
from vitbench.kit import identity_of

if TYPE_CHECKING:
    from vitbench.api import Backbone, EvaluationProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Score of another protocol for every block of a backbone, as if the network ended there.

    Any protocol on frozen features whose main score is a percentage can be asked for. Those on
    image-level features take one pass over the images for all blocks together. The best block is
    the one that is best on the data that are scored; its score is as good as a choice can make it.

    Differs:
        Ours. Where a network has a final norm, every block passes it.
    """

    name: ClassVar[str] = "layers"
    version: ClassVar[int] = 1
    default_data: ClassVar[str] = "imagenet"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("last", "last block", primary=True),
        MetricSpec("best", "best block"),
        MetricSpec("gain", "best over last"),
        MetricSpec("best_block", "number of the best block", unit="", higher_is_better=None),
    )
    presets: ClassVar[Presets] = {"knn": {}, "logistic": {"of": "logistic", "of_preset": "msn"}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "knn": "ours: k-NN as DINO's, of every block; one forward pass over train and val",
        "logistic": "ours: logistic regression as MSN's, of every block; one forward pass",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval layers dino-vits16 --data imagenet",
        "vitbench eval layers dino-vits16 --of correspondence --data SPair-71k",
    )

    of: str = setting("knn", help="name of the protocol that scores every block")
    of_preset: str = setting("", help="preset of that protocol; left out: its usual settings")
    spec: str = setting("", help="identity of that protocol with its settings", derived=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", identity_of(self.protocol))

    @property
    def protocol(self) -> "EvaluationProtocol":
        """The protocol that scores every block.

        Raises:
            UnknownName: There is no such protocol or preset.
            SettingError: It is this one, or its main score is no percentage.
        """
        kind = protocols.get(self.of)
        (primary,) = (metric for metric in kind.metrics if metric.primary)
        if primary.unit != "%" or kind is Layers:
            raise errors.SettingError(
                [f"--of {self.of} gives no percentage for a block"], hint="--of knn"
            )
        return from_preset(kind, self.of_preset or None)

    @property
    def data(self) -> DataKind:
        """The kind of data that is read."""
        return self.protocol.data

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read, the one that is scored last."""
        return self.protocol.splits

    @property
    def follows_resampling(self) -> bool:
        """Whether every image is resized as the run's option tells."""
        return getattr(self.protocol, "follows_resampling", False)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Score every block, and draw the curve."""
        from vitbench_protocols.layers.running import score_blocks  # imports torch

        return score_blocks(self, backbone, context)
