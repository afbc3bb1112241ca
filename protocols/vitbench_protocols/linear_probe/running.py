"""One run: features or crops in, a head chosen and trained, its scores out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Backbone, Context, FeatureSpec, ImageView, Outcome, Score, errors
from vitbench.kit import cut_note, write_class_table
from vitbench_protocols.linear_probe.features import FeatureSet, feature_sets
from vitbench_protocols.linear_probe.grid import Head
from vitbench_protocols.linear_probe.sources import (
    FreshCrops,
    Source,
    StoredFeatures,
    kept_on,
    vectors_of,
)
from vitbench_protocols.linear_probe.training import Data, Schedule, choose, finish

if TYPE_CHECKING:
    from vitbench_protocols.linear_probe import LinearProbe


def score_heads(protocol: "LinearProbe", backbone: Backbone, context: Context) -> Outcome:
    """Choose a head where there are several, train it on all of train, score it on val."""
    if cut := cut_note(protocol.crop, backbone.info.stage(0).stride):
        context.note(cut)
    sets = feature_sets(protocol.features, backbone.info)
    heads = [Head(features, rate) for features in sets for rate in protocol.learning_rates]
    if not heads:
        raise errors.SettingError(["--features and --learning-rates must name one each"])
    data = _data(protocol, backbone, context, sets)
    schedule = Schedule(
        epochs=protocol.epochs, batch_size=protocol.batch_size, momentum=protocol.momentum
    )
    head = heads[0]
    if len(heads) > 1:
        head = choose(heads, data, schedule, share=protocol.held_out)
    context.note(str(head))
    scored = finish(head, data, schedule)
    items: dict[str, NDArray[np.float64]] = {}
    for ending, places in (("", scored.last), ("_best", scored.best)):
        items[f"top1{ending}"] = 100.0 * (places < 1).double().numpy()
        items[f"top5{ending}"] = 100.0 * (places < 5).double().numpy()
    scores = tuple(
        Score(metric.name, float(items[metric.name].mean()), len(scored.last))
        for metric in protocol.metrics
    )
    val = context.dataset("val")
    tables = write_class_table(val, items, context)
    return Outcome(scores, {"ids": np.array(val.ids), **items}, tables)


def _data(
    protocol: "LinearProbe", backbone: Backbone, context: Context, sets: Sequence[FeatureSet]
) -> Data:
    backbone.check_images(protocol.crop, protocol.crop)
    outputs = tuple(dict.fromkeys(output for found in sets for output in found.outputs))
    spec = FeatureSpec(view=ImageView(protocol.resize, protocol.crop), outputs=outputs)
    source: Source
    if protocol.train_on == "crops":
        source = FreshCrops(backbone, context, outputs, protocol.crop, protocol.crop_scale)
    else:
        vectors = vectors_of(context.features("train", spec), outputs)
        source = StoredFeatures(kept_on(context.device, vectors), context.device)
    widths = {output: output.width(backbone.info) for output in outputs}
    return Data(context, spec, source, widths)
