"""The ways of segmenting that learn: fine-tuning the whole network, and a linear probe."""

from itertools import accumulate

from vitbench.api import Backbone, BackboneInfo, errors
from vitbench.kit import seeded
from vitbench_protocols.segmentation.decoders import MAKERS
from vitbench_protocols.segmentation.decoders.linear import LinearDecoder
from vitbench_protocols.segmentation.inference import Segmenter
from vitbench_protocols.segmentation.learning import learn
from vitbench_protocols.segmentation.networks import TrainedAlone, TrainedTogether
from vitbench_protocols.segmentation.predict import Problem
from vitbench_protocols.segmentation.settings import UNDECAYED, FineTune, LinearProbe

MAPS = 4  # that a decoder gets


def fine_tune(settings: FineTune, backbone: Backbone, problem: Problem) -> Segmenter:
    """Train and return the network."""
    device, seed = problem.context.device, problem.context.seed
    patch_px = backbone.info.patch_size
    if settings.learning.crop % patch_px:
        raise errors.SettingError(
            [f"--method.learning.crop is {settings.learning.crop}, "
             f"expected a multiple of the patch, {patch_px} px"]
        )  # fmt: skip
    if (
        settings.decoder == "upernet"
        and settings.learning.batch_size <= settings.learning.accumulate
    ):
        raise errors.SettingError(
            ["upernet normalizes means of whole images, which needs two crops at once"],
            hint="--method.learning.batch-size 2, or a smaller --method.learning.accumulate",
        )
    layers = settings.layers or _default_layers(backbone.info)
    if len(layers) != MAPS or min(layers) < 0:
        raise errors.SettingError(
            [f"a decoder sees {MAPS} blocks, found {layers} of {backbone.info.depth}"],
            hint="--method.layers 2 5 8 11",
        )
    copy = backbone.dense_copy(image_px=settings.learning.crop, rule=settings.position_rule)
    maps = [backbone.info.stage(layer) for layer in layers]
    decoder = seeded(MAKERS[settings.decoder], maps, len(problem.classes), seed=seed)
    network = TrainedTogether(copy, decoder, layers=layers, drop_path=settings.drop_path)
    return learn(
        network.to(device), problem, settings.learning, undecayed=UNDECAYED[settings.undecayed]
    )


def _default_layers(info: BackboneInfo) -> tuple[int, ...]:
    """Return the last block of each stage of a pyramid, else one at each quarter of the depth."""
    if info.stages:
        return tuple(end - 1 for end in accumulate(stage.blocks for stage in info.stages))
    return tuple(info.depth * quarter // MAPS - 1 for quarter in range(1, MAPS + 1))


def train_linear_map(settings: LinearProbe, backbone: Backbone, problem: Problem) -> Segmenter:
    """Train the map and return it with the backbone."""
    backbone.check_images(settings.learning.crop, settings.learning.crop)
    context, dim = problem.context, backbone.info.stage(settings.layer).width
    decoder = seeded(LinearDecoder, dim, len(problem.classes), seed=context.seed)
    network = TrainedAlone(backbone, decoder, layer=settings.layer).to(context.device)
    return learn(network, problem, settings.learning)
