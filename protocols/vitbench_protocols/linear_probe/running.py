"""One run: features or crops in, a head chosen and trained, its scores out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.api import Backbone, Context, FeatureSpec, ImageView, Outcome, Score, errors
from vitbench.kit import competing, cut_note, gap_scores, write_class_table
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
    among = torch.from_numpy(competing(context)) if protocol.queries else None
    *before, scored = finish(head, data, schedule, dict.fromkeys(protocol.splits[1:], among))
    items: dict[str, NDArray[np.float64]] = {}
    for ending, places in (("", scored.last), ("_best", scored.best)):
        items[f"top1{ending}"] = _percent(places < 1)
        items[f"top5{ending}"] = _percent(places < 5)
    scores = [Score(name, float(found.mean()), len(found)) for name, found in items.items()]
    for clean in before:
        scores += gap_scores(_percent(clean.last < 1), items["top1"], context)
    asked = context.dataset(protocol.splits[-1])
    tables = write_class_table(asked, items, context)
    return Outcome(tuple(scores), {"ids": np.array(asked.ids), **items}, tables)


def _percent(hits: Tensor) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 100.0 * hits.double().numpy()
    return found


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
