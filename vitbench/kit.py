"""Parts for authors: what trainings and protocols are put together from; re-exports, nothing else.

Optimizer, schedules, crops, heads and objectives; the fine-tuning loop with its snapshots; maps for
dense tasks; nearest neighbors; masks and label images; random numbers that belong to what they are
for; several processes. Every part is documented where it is defined. Unlike `vitbench.api`, the kit
promises nothing across versions: a plug-in that imports from here names the version of vitbench
that it was tested with.

>>> from vitbench import kit
>>> kit.Cosine(2.0, 0.0).at(kit.Progress(step=5, steps_per_epoch=1, epochs=10))
1.0
"""

from typing import TYPE_CHECKING

from vitbench.lazy import importer

if TYPE_CHECKING:
    from vitbench import bounds as bounds
    from vitbench import distributed as distributed
    from vitbench.bootstrap import mean_interval as mean_interval
    from vitbench.data.adjacency import STEPS as STEPS
    from vitbench.data.clips import LATE_OBJECTS as LATE_OBJECTS
    from vitbench.data.clips import VOID as VOID
    from vitbench.data.clips import Clip as Clip
    from vitbench.data.clips import mask_files as mask_files
    from vitbench.data.clips import palette as palette
    from vitbench.data.clips import read_labels as read_labels
    from vitbench.data.decode import read_file as read_file
    from vitbench.data.decode import read_image as read_image
    from vitbench.data.instances import Instance as Instance
    from vitbench.data.instances import Instances as Instances
    from vitbench.data.instances import RunLengths as RunLengths
    from vitbench.data.instances import decode_mask as decode_mask
    from vitbench.data.instances import encode_mask as encode_mask
    from vitbench.data.instances import encode_runs as encode_runs
    from vitbench.data.keypoint_pairs import KeypointPair as KeypointPair
    from vitbench.data.keypoint_pairs import Points as Points
    from vitbench.data.kinds import LabeledDataset as LabeledDataset
    from vitbench.data.kinds import part_of as part_of
    from vitbench.data.label_images import read_label_image as read_label_image
    from vitbench.data.label_maps import Geometry as Geometry
    from vitbench.data.label_maps import labels_in as labels_in
    from vitbench.data.loader import in_order as in_order
    from vitbench.data.loader import load_batches as load_batches
    from vitbench.data.multicrop import MultiCrop as MultiCrop
    from vitbench.data.multicrop import crop_boxes as crop_boxes
    from vitbench.data.multicrop import dino_crops as dino_crops
    from vitbench.data.multicrop import moby_crops as moby_crops
    from vitbench.data.multicrop import selfpatch_crops as selfpatch_crops
    from vitbench.data.parallel import map_items as map_items
    from vitbench.data.positives import FindPositives as FindPositives
    from vitbench.data.positives import PositiveRule as PositiveRule
    from vitbench.data.positives import Positives as Positives
    from vitbench.data.positives_grid import Row as Row
    from vitbench.data.positives_grid import count_grid as count_grid
    from vitbench.data.positives_grid import near as near
    from vitbench.data.random_crop import RandomCrops as RandomCrops
    from vitbench.data.readback import Fetched as Fetched
    from vitbench.data.readback import one_behind as one_behind
    from vitbench.data.retrieval import Relevance as Relevance
    from vitbench.data.semantic import read_index_map as read_index_map
    from vitbench.data.sizes import Pixels as Pixels
    from vitbench.data.sizes import Size as Size
    from vitbench.data.sizes import fitted as fitted
    from vitbench.data.sizes import resize_image as resize_image
    from vitbench.data.sizes import resize_indices as resize_indices
    from vitbench.data.transforms import cut_note as cut_note
    from vitbench.data.transforms import to_pixels as to_pixels
    from vitbench.data.upload import send as send
    from vitbench.engine.class_table import write_class_table as write_class_table
    from vitbench.engine.curve import write_curve as write_curve
    from vitbench.engine.gap import GAP_METRICS as GAP_METRICS
    from vitbench.engine.gap import competing as competing
    from vitbench.engine.gap import gap_scores as gap_scores
    from vitbench.engine.gap import splits_with as splits_with
    from vitbench.engine.presets import identity_of as identity_of
    from vitbench.keyed_random import keyed_uniform as keyed_uniform
    from vitbench.keyed_random import permutation as permutation
    from vitbench.models.aggregated import patch_tokens as patch_tokens
    from vitbench.models.backbone import Aggregates as Aggregates
    from vitbench.models.batch_norm import GlobalBatchNorm2d as GlobalBatchNorm2d
    from vitbench.models.batch_norm import keep_statistics as keep_statistics
    from vitbench.models.constants import PositionRule as PositionRule
    from vitbench.models.initialization import seeded as seeded
    from vitbench.models.map_grid import in_cells as in_cells
    from vitbench.models.map_grid import on_grid as on_grid
    from vitbench.models.patch_mask import PatchMask as PatchMask
    from vitbench.models.pyramid_adapter import PyramidAdapter as PyramidAdapter
    from vitbench.models.pyramid_adapter import level_strides as level_strides
    from vitbench.models.pyramid_adapter import pyramid_layers as pyramid_layers
    from vitbench.models.pyramid_adapter import rescaling as rescaling
    from vitbench.neighbors import Bank as Bank
    from vitbench.neighbors import Neighbors as Neighbors
    from vitbench.neighbors import search as search
    from vitbench.neighbors import vote as vote
    from vitbench.objectives.centering import Center as Center
    from vitbench.objectives.crop_features import CropFeatures as CropFeatures
    from vitbench.objectives.dino import view_loss as view_loss
    from vitbench.objectives.distillation import DistillationObjective as DistillationObjective
    from vitbench.objectives.distillation import entropy as entropy
    from vitbench.objectives.distillation import targets as targets
    from vitbench.objectives.gradient_sums import (
        gather_rows_with_gradient as gather_rows_with_gradient,
    )
    from vitbench.objectives.heads import ProjectionHead as ProjectionHead
    from vitbench.objectives.objective import Annotations as Annotations
    from vitbench.objectives.objective import Branch as Branch
    from vitbench.objectives.objective import Objective as Objective
    from vitbench.objectives.objective import TermLoss as TermLoss
    from vitbench.objectives.positives import neighbor_similarities as neighbor_similarities
    from vitbench.objectives.precision import single_precision as single_precision
    from vitbench.objectives.progress import Progress as Progress
    from vitbench.objectives.settings import Dino as Dino
    from vitbench.objectives.settings import Distillation as Distillation
    from vitbench.objectives.settings import Moby as Moby
    from vitbench.objectives.settings import ObjectiveSettings as ObjectiveSettings
    from vitbench.objectives.settings import Patch as Patch
    from vitbench.objectives.settings import Region as Region
    from vitbench.outside_files import parsing as parsing
    from vitbench.outside_files import read_bytes as read_bytes
    from vitbench.records import atomic as atomic
    from vitbench.records import safe_name as safe_name
    from vitbench.score_statistics import statistic as statistic
    from vitbench.training.curves import write_curves as write_curves
    from vitbench.training.drop_path import DropPath as DropPath
    from vitbench.training.finetune import FineTuneConfig as FineTuneConfig
    from vitbench.training.finetune import FineTuneContext as FineTuneContext
    from vitbench.training.finetune import FineTuning as FineTuning
    from vitbench.training.finetune import Shuffled as Shuffled
    from vitbench.training.layout import Layout as Layout
    from vitbench.training.loop import Loop as Loop
    from vitbench.training.loop import Milestone as Milestone
    from vitbench.training.loop import Task as Task
    from vitbench.training.metric_log import read_metrics as read_metrics
    from vitbench.training.optimizer import SGD as SGD
    from vitbench.training.optimizer import AdamW as AdamW
    from vitbench.training.optimizer import OptimizerConfig as OptimizerConfig
    from vitbench.training.options import CheckpointConfig as CheckpointConfig
    from vitbench.training.recipes import RecipePresets as RecipePresets
    from vitbench.training.recipes import offered_with as offered_with
    from vitbench.training.schedules import Cosine as Cosine
    from vitbench.training.schedules import (
        CosineWithOverlappingWarmup as CosineWithOverlappingWarmup,
    )
    from vitbench.training.schedules import Poly as Poly
    from vitbench.training.schedules import Schedule as Schedule
    from vitbench.training.schedules import Steps as Steps
    from vitbench.training.snapshot import Snapshots as Snapshots
    from vitbench.training.snapshot import load_snapshot as load_snapshot
    from vitbench.training.trainer import Trainer as Trainer

_HOMES = {
    "vitbench.data.readback": (
        "Fetched",
        "one_behind",
    ),
    "vitbench.data.upload": ("send",),
    "vitbench.training.recipes": (
        "RecipePresets",
        "offered_with",
    ),
    "vitbench.training.loop": (
        "Loop",
        "Milestone",
        "Task",
    ),
    "vitbench.training.layout": ("Layout",),
    "vitbench.objectives.gradient_sums": ("gather_rows_with_gradient",),
    "vitbench.objectives.crop_features": ("CropFeatures",),
    "vitbench.objectives.precision": ("single_precision",),
    "vitbench.objectives.dino": ("view_loss",),
    "vitbench.models.patch_mask": ("PatchMask",),
    "vitbench.models.aggregated": ("patch_tokens",),
    "vitbench.score_statistics": ("statistic",),
    "vitbench.bootstrap": ("mean_interval",),
    "vitbench.data.adjacency": ("STEPS",),
    "vitbench.data.clips": ("Clip", "LATE_OBJECTS", "VOID", "mask_files", "palette", "read_labels"),
    "vitbench.data.decode": ("read_file", "read_image"),
    "vitbench.data.instances": (
        "Instance",
        "Instances",
        "RunLengths",
        "decode_mask",
        "encode_mask",
        "encode_runs",
    ),
    "vitbench.data.keypoint_pairs": ("KeypointPair", "Points"),
    "vitbench.data.kinds": ("LabeledDataset", "part_of"),
    "vitbench.data.label_images": ("read_label_image",),
    "vitbench.data.label_maps": ("Geometry", "labels_in"),
    "vitbench.data.loader": ("in_order", "load_batches"),
    "vitbench.data.multicrop": (
        "MultiCrop",
        "crop_boxes",
        "dino_crops",
        "moby_crops",
        "selfpatch_crops",
    ),
    "vitbench.data.parallel": ("map_items",),
    "vitbench.data.positives": ("FindPositives", "Positives", "PositiveRule"),
    "vitbench.data.positives_grid": ("Row", "count_grid", "near"),
    "vitbench.data.random_crop": ("RandomCrops",),
    "vitbench.data.retrieval": ("Relevance",),
    "vitbench.data.semantic": ("read_index_map",),
    "vitbench.data.sizes": ("Pixels", "Size", "fitted", "resize_image", "resize_indices"),
    "vitbench.data.transforms": ("cut_note", "to_pixels"),
    "vitbench.keyed_random": ("permutation", "keyed_uniform"),
    "vitbench.engine.class_table": ("write_class_table",),
    "vitbench.engine.curve": ("write_curve",),
    "vitbench.engine.presets": ("identity_of",),
    "vitbench.engine.gap": ("GAP_METRICS", "competing", "gap_scores", "splits_with"),
    "vitbench.models.backbone": ("Aggregates",),
    "vitbench.models.batch_norm": ("GlobalBatchNorm2d", "keep_statistics"),
    "vitbench.models.constants": ("PositionRule",),
    "vitbench.models.initialization": ("seeded",),
    "vitbench.models.map_grid": ("in_cells", "on_grid"),
    "vitbench.models.pyramid_adapter": (
        "PyramidAdapter",
        "level_strides",
        "pyramid_layers",
        "rescaling",
    ),
    "vitbench.neighbors": ("Bank", "Neighbors", "search", "vote"),
    "vitbench.objectives.centering": ("Center",),
    "vitbench.objectives.distillation": (
        "DistillationObjective",
        "entropy",
        "targets",
    ),
    "vitbench.objectives.heads": ("ProjectionHead",),
    "vitbench.objectives.objective": (
        "Annotations",
        "Branch",
        "Objective",
        "TermLoss",
    ),
    "vitbench.objectives.progress": ("Progress",),
    "vitbench.objectives.settings": (
        "Dino",
        "Distillation",
        "Moby",
        "ObjectiveSettings",
        "Patch",
        "Region",
    ),
    "vitbench.objectives.positives": ("neighbor_similarities",),
    "vitbench.outside_files": ("parsing", "read_bytes"),
    "vitbench.records": ("atomic", "safe_name"),
    "vitbench.training.curves": ("write_curves",),
    "vitbench.training.drop_path": ("DropPath",),
    "vitbench.training.finetune": ("FineTuneConfig", "FineTuning", "Shuffled", "FineTuneContext"),
    "vitbench.training.metric_log": ("read_metrics",),
    "vitbench.training.optimizer": (
        "AdamW",
        "OptimizerConfig",
        "SGD",
    ),
    "vitbench.training.schedules": (
        "Cosine",
        "CosineWithOverlappingWarmup",
        "Poly",
        "Schedule",
        "Steps",
    ),
    "vitbench.training.options": ("CheckpointConfig",),
    "vitbench.training.snapshot": ("Snapshots", "load_snapshot"),
    "vitbench.training.trainer": ("Trainer",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("bounds", "distributed")  # offered whole

__all__ = sorted([*_HOME, *_MODULES])
__getattr__ = importer(__name__, {**_HOME, **{name: f"vitbench.{name}:" for name in _MODULES}})
