"""The ways of segmenting that learn: fine-tuning the whole network, and a linear probe."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from vitbench.api import Backbone, BackboneInfo, PositionRule, errors, seeded, setting
from vitbench_protocols.segmentation.decoders import MAKERS, NAMES, DecoderName
from vitbench_protocols.segmentation.decoders.linear import LinearDecoder
from vitbench_protocols.segmentation.inference import Segmenter
from vitbench_protocols.segmentation.learning import Learning, learn
from vitbench_protocols.segmentation.networks import TrainedAlone, TrainedTogether
from vitbench_protocols.segmentation.predict import Problem

MAPS = 4  # that a decoder gets
UNDECAYED = {
    "positions": ("pos_embed", "cls_token"),
    "positions-and-norms": ("pos_embed", "cls_token", "norm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune:
    """A decoder and the whole backbone, trained together."""

    decoder: DecoderName = setting(
        "semantic-fpn", help="what stands on the backbone", choices=NAMES
    )
    layers: tuple[int, ...] = setting(
        (),
        help="four blocks that the decoder sees; left out: one at each quarter of the depth, "
        "or the last of each stage",
    )
    drop_path: float = setting(
        0.1, help="stochastic depth of the last block", minimum=0, maximum=0.99
    )
    undecayed: Literal["positions", "positions-and-norms"] = setting(
        "positions",
        help="what weight decay spares: as the released list works, or as its comment says",
        choices=tuple(UNDECAYED),
    )
    position_rule: PositionRule = setting(
        "size", help="how the positional table is resized, to the crop's grid and later"
    )
    learning: Learning = setting(Learning(), help="how long, how fast and from what")

    def learn(self, backbone: Backbone, problem: Problem) -> Segmenter:
        """Train and return the network."""
        device, seed = problem.context.device, problem.context.seed
        patch_px = backbone.info.patch_size
        if self.learning.crop % patch_px:
            raise errors.SettingError(
                [f"--method.learning.crop is {self.learning.crop}, "
                 f"expected a multiple of the patch, {patch_px} px"]
            )  # fmt: skip
        if self.decoder == "upernet" and self.learning.batch_size <= self.learning.accumulate:
            raise errors.SettingError(
                ["upernet normalizes means of whole images, which needs two crops at once"],
                hint="--method.learning.batch-size 2, or a smaller --method.learning.accumulate",
            )
        layers = self.layers or _default_layers(backbone.info)
        if len(layers) != MAPS or min(layers) < 0:
            raise errors.SettingError(
                [f"a decoder sees {MAPS} blocks, found {layers} of {backbone.info.depth}"],
                hint="--method.layers 2 5 8 11",
            )
        copy = backbone.dense_copy(image_px=self.learning.crop, rule=self.position_rule)
        maps = [backbone.info.stage(layer) for layer in layers]
        decoder = seeded(MAKERS[self.decoder], maps, len(problem.classes), seed=seed)
        network = TrainedTogether(copy, decoder, layers=layers, drop_path=self.drop_path)
        return learn(
            network.to(device), problem, self.learning, undecayed=UNDECAYED[self.undecayed]
        )


def _default_layers(info: BackboneInfo) -> tuple[int, ...]:
    """Return the last block of each stage of a pyramid, else one at each quarter of the depth."""
    if info.stages:
        return tuple(end - 1 for end in accumulate(stage.blocks for stage in info.stages))
    return tuple(info.depth * quarter // MAPS - 1 for quarter in range(1, MAPS + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbe:
    """Batch normalization and a linear map on frozen patch tokens.

    Source:
        Oquab et al., DINOv2, TMLR 2024, section 7.4 ("lin."), which trains 40,000 steps.
    """

    layer: int = setting(-1, help="block whose tokens are read, from the end if negative")
    learning: Learning = setting(
        Learning(steps=4000, learning_rate=1e-3, weight_decay=1e-4, warmup_steps=150),
        help="how long, how fast and from what",
    )

    def learn(self, backbone: Backbone, problem: Problem) -> Segmenter:
        """Train the map and return it with the backbone."""
        backbone.check_images(self.learning.crop, self.learning.crop)
        context, dim = problem.context, backbone.info.stage(self.layer).width
        decoder = seeded(LinearDecoder, dim, len(problem.classes), seed=context.seed)
        network = TrainedAlone(backbone, decoder, layer=self.layer).to(context.device)
        return learn(network, problem, self.learning)
