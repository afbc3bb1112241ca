"""The ways of segmenting that learn: fine-tuning the whole network, and a linear probe."""

from vitbench.api import Backbone, BackboneInfo, errors
from vitbench.kit import pyramid_layers, seeded
from vitbench_protocols.segmentation.decoders import MAKERS
from vitbench_protocols.segmentation.decoders.linear import LinearDecoder
from vitbench_protocols.segmentation.inference import Segmenter
from vitbench_protocols.segmentation.learning import learn
from vitbench_protocols.segmentation.networks import TrainedAlone, TrainedTogether
from vitbench_protocols.segmentation.predict import Problem
from vitbench_protocols.segmentation.settings import UNDECAYED, FineTune, LinearProbe

MAPS = 4  # that a decoder gets


def check_fine_tuning(settings: FineTune, backbone: Backbone) -> None:
    """Refuse, before any work, a backbone that these settings can't fine-tune.

    Raises:
        SettingError: Names the setting.
        MissingAbility: Names what the backbone can't do.
    """
    learning, patch_px = settings.learning, backbone.info.patch_size
    if learning.crop % patch_px:
        raise errors.SettingError(
            [f"--method.learning.crop is {learning.crop}, "
             f"expected a multiple of the patch, {patch_px} px"],
            hint=f"--method.learning.crop {max(1, round(learning.crop / patch_px)) * patch_px}",
        )  # fmt: skip
    if settings.decoder == "upernet" and learning.batch_size <= learning.accumulate:
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
    for layer in layers:
        backbone.info.absolute(layer)
    backbone.check_raw()
    backbone.check_images(learning.crop, learning.crop)
    if settings.drop_path:
        backbone.check_drop_path()


def fine_tune(settings: FineTune, backbone: Backbone, problem: Problem) -> Segmenter:
    """Train and return the network."""
    device, seed = problem.context.device, problem.context.seed
    layers = settings.layers or _default_layers(backbone.info)
    copy = backbone.dense_copy(image_px=settings.learning.crop, rule=settings.position_rule)
    maps = [backbone.info.stage(layer) for layer in layers]
    decoder = seeded(MAKERS[settings.decoder], maps, len(problem.classes), seed=seed)
    network = TrainedTogether(copy, decoder, layers=layers, drop_path=settings.drop_path)
    return learn(
        network.to(device), problem, settings.learning, undecayed=UNDECAYED[settings.undecayed]
    )


def _default_layers(info: BackboneInfo) -> tuple[int, ...]:
    """Return the levels of a pyramid, else one block at each quarter of the depth."""
    quarters = tuple(max(info.depth * part // MAPS - 1, 0) for part in range(1, MAPS + 1))
    return pyramid_layers(info) or quarters


def train_linear_map(settings: LinearProbe, backbone: Backbone, problem: Problem) -> Segmenter:
    """Train the map and return it with the backbone."""
    context, dim = problem.context, backbone.info.stage(settings.layer).width
    decoder = seeded(LinearDecoder, dim, len(problem.classes), seed=context.seed)
    network = TrainedAlone(backbone, decoder, layer=settings.layer).to(context.device)
    return learn(network, problem, settings.learning)
