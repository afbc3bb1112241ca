"""THE public interface: re-exports, nothing else. A name is imported when it is used.

>>> from vitbench import api
>>> knn = api.from_preset(api.protocols.get("knn"), "dino")
>>> checkpoint = api.resolve("random:vit_mini_patch8_64")
>>> options = api.RunOptions(data="synthetic", limit=40)  # data left out: the protocol's usual set
>>> record = api.evaluate(knn, checkpoint, options).record
>>> record.dataset.name, record.primary().label
('synthetic', 'top-1 (k=20)')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitbench import distributed as distributed
    from vitbench import errors as errors
    from vitbench.accumulate import statistic as statistic
    from vitbench.bootstrap import mean_interval as mean_interval
    from vitbench.data.adjacency import STEPS as STEPS
    from vitbench.data.clips import VOID as VOID
    from vitbench.data.clips import Clip as Clip
    from vitbench.data.clips import mask_files as mask_files
    from vitbench.data.clips import palette as palette
    from vitbench.data.clips import read_labels as read_labels
    from vitbench.data.dataset import Reader as Reader
    from vitbench.data.dataset import open_dataset as open_dataset
    from vitbench.data.decode import read_file as read_file
    from vitbench.data.decode import read_image as read_image
    from vitbench.data.instances import Instance as Instance
    from vitbench.data.instances import Instances as Instances
    from vitbench.data.instances import RunLengths as RunLengths
    from vitbench.data.instances import decode_mask as decode_mask
    from vitbench.data.instances import encode_mask as encode_mask
    from vitbench.data.instances import encode_runs as encode_runs
    from vitbench.data.kinds import ClassificationDataset as ClassificationDataset
    from vitbench.data.kinds import Dataset as Dataset
    from vitbench.data.kinds import ImageDataset as ImageDataset
    from vitbench.data.kinds import IndexMapDataset as IndexMapDataset
    from vitbench.data.kinds import InstanceDataset as InstanceDataset
    from vitbench.data.kinds import LabelledDataset as LabelledDataset
    from vitbench.data.kinds import Sample as Sample
    from vitbench.data.kinds import part_of as part_of
    from vitbench.data.label_images import read_label_image as read_label_image
    from vitbench.data.label_maps import Geometry as Geometry
    from vitbench.data.loader import in_order as in_order
    from vitbench.data.loader import load_batches as load_batches
    from vitbench.data.multicrop import MultiCrop as MultiCrop
    from vitbench.data.parallel import map_items as map_items
    from vitbench.data.positives import FindPositives as FindPositives
    from vitbench.data.positives import Positives as Positives
    from vitbench.data.positives import Reading as Reading
    from vitbench.data.positives_grid import Row as Row
    from vitbench.data.positives_grid import count_grid as count_grid
    from vitbench.data.positives_grid import near as near
    from vitbench.data.random_crop import RandomCrops as RandomCrops
    from vitbench.data.semantic import labels_in as labels_in
    from vitbench.data.semantic import read_index_map as read_index_map
    from vitbench.data.sizes import Pixels as Pixels
    from vitbench.data.sizes import Size as Size
    from vitbench.data.sizes import fitted as fitted
    from vitbench.data.sizes import resize_image as resize_image
    from vitbench.data.sizes import resize_indices as resize_indices
    from vitbench.data.transforms import ImageView as ImageView
    from vitbench.data.transforms import Normalization as Normalization
    from vitbench.data.transforms import cut_note as cut_note
    from vitbench.data.transforms import to_pixels as to_pixels
    from vitbench.draws import permutation as permutation
    from vitbench.draws import uniforms as uniforms
    from vitbench.engine.class_table import write_class_table as write_class_table
    from vitbench.engine.evaluate import evaluate as evaluate
    from vitbench.engine.evaluate import score as score
    from vitbench.engine.features import FeatureSpec as FeatureSpec
    from vitbench.engine.features import FeatureTable as FeatureTable
    from vitbench.engine.features import Output as Output
    from vitbench.engine.presets import from_preset as from_preset
    from vitbench.engine.protocol import Context as Context
    from vitbench.engine.protocol import EvaluationProtocol as EvaluationProtocol
    from vitbench.engine.protocol import Need as Need
    from vitbench.engine.protocol import Outcome as Outcome
    from vitbench.engine.protocol import Presets as Presets
    from vitbench.engine.protocol import Score as Score
    from vitbench.engine.protocol import Scorer as Scorer
    from vitbench.engine.protocol import protocols as protocols
    from vitbench.engine.protocol import scorers as scorers
    from vitbench.engine.run import Evaluation as Evaluation
    from vitbench.engine.run import RunOptions as RunOptions
    from vitbench.engine.run import Voice as Voice
    from vitbench.models.backbone import Aggregates as Aggregates
    from vitbench.models.backbone import Backbone as Backbone
    from vitbench.models.backbone import BackboneInfo as BackboneInfo
    from vitbench.models.backbone import Features as Features
    from vitbench.models.backbone import Stage as Stage
    from vitbench.models.batch_norm import GlobalBatchNorm2d as GlobalBatchNorm2d
    from vitbench.models.checkpoint import Checkpoint as Checkpoint
    from vitbench.models.checkpoint import load_backbone as load_backbone
    from vitbench.models.checkpoint import resolve as resolve
    from vitbench.models.facts import PositionRule as PositionRule
    from vitbench.models.initialization import seeded as seeded
    from vitbench.models.scales import FourScales as FourScales
    from vitbench.models.scales import rescaling as rescaling
    from vitbench.neighbours import Bank as Bank
    from vitbench.neighbours import Neighbours as Neighbours
    from vitbench.neighbours import search as search
    from vitbench.neighbours import vote as vote
    from vitbench.objectives.objective import Branch as Branch
    from vitbench.objectives.objective import Objective as Objective
    from vitbench.objectives.objective import ObjectiveSettings as ObjectiveSettings
    from vitbench.objectives.objective import Progress as Progress
    from vitbench.objectives.objective import TermLoss as TermLoss
    from vitbench.objectives.positives import neighbour_similarities as neighbour_similarities
    from vitbench.records import DataKind as DataKind
    from vitbench.records import DatasetInfo as DatasetInfo
    from vitbench.records import MetricSpec as MetricSpec
    from vitbench.records import Record as Record
    from vitbench.records import atomic as atomic
    from vitbench.records import read_items as read_items
    from vitbench.records import read_records as read_records
    from vitbench.records import safe_name as safe_name
    from vitbench.reports.render import render as render
    from vitbench.reports.table import Table as Table
    from vitbench.reports.table import build_table as build_table
    from vitbench.settings import setting as setting
    from vitbench.training.curves import write_curves as write_curves
    from vitbench.training.drop_path import DropPath as DropPath
    from vitbench.training.finetune import Course as Course
    from vitbench.training.finetune import FineTuning as FineTuning
    from vitbench.training.finetune import Shuffled as Shuffled
    from vitbench.training.finetune import Surroundings as Surroundings
    from vitbench.training.journal import read_metrics as read_metrics
    from vitbench.training.presets import with_preset as with_preset
    from vitbench.training.recipe import Recipe as Recipe
    from vitbench.training.recipe import Term as Term
    from vitbench.training.recipes import recipes as recipes
    from vitbench.training.schedules import Cosine as Cosine
    from vitbench.training.schedules import Poly as Poly
    from vitbench.training.schedules import Steps as Steps
    from vitbench.training.snapshot import Saving as Saving
    from vitbench.training.snapshot import Snapshots as Snapshots
    from vitbench.training.snapshot import load_snapshot as load_snapshot
    from vitbench.training.train import Options as Options
    from vitbench.training.train import train as train
    from vitbench.training.trainer import Trainer as Trainer

_HOMES = {
    "vitbench.accumulate": ("statistic",),
    "vitbench.bootstrap": ("mean_interval",),
    "vitbench.data.adjacency": ("STEPS",),
    "vitbench.data.clips": ("VOID", "Clip", "mask_files", "palette", "read_labels"),
    "vitbench.data.dataset": ("Reader", "open_dataset"),
    "vitbench.data.decode": ("read_file", "read_image"),
    "vitbench.data.instances": (
        "Instance",
        "Instances",
        "RunLengths",
        "decode_mask",
        "encode_mask",
        "encode_runs",
    ),
    "vitbench.data.kinds": (
        "ClassificationDataset",
        "Dataset",
        "ImageDataset",
        "IndexMapDataset",
        "InstanceDataset",
        "LabelledDataset",
        "Sample",
        "part_of",
    ),
    "vitbench.data.label_images": ("read_label_image",),
    "vitbench.data.label_maps": ("Geometry",),
    "vitbench.data.loader": ("in_order", "load_batches"),
    "vitbench.data.multicrop": ("MultiCrop",),
    "vitbench.data.parallel": ("map_items",),
    "vitbench.data.positives": ("FindPositives", "Positives", "Reading"),
    "vitbench.data.positives_grid": ("Row", "count_grid", "near"),
    "vitbench.data.random_crop": ("RandomCrops",),
    "vitbench.data.semantic": ("labels_in", "read_index_map"),
    "vitbench.data.sizes": ("Pixels", "Size", "fitted", "resize_image", "resize_indices"),
    "vitbench.data.transforms": ("ImageView", "Normalization", "cut_note", "to_pixels"),
    "vitbench.draws": ("permutation", "uniforms"),
    "vitbench.engine.class_table": ("write_class_table",),
    "vitbench.engine.evaluate": ("evaluate", "score"),
    "vitbench.engine.features": ("FeatureSpec", "FeatureTable", "Output"),
    "vitbench.engine.presets": ("from_preset",),
    "vitbench.engine.protocol": (
        "Context",
        "EvaluationProtocol",
        "Need",
        "Outcome",
        "Presets",
        "Score",
        "Scorer",
        "protocols",
        "scorers",
    ),
    "vitbench.engine.run": ("Evaluation", "RunOptions", "Voice"),
    "vitbench.models.backbone": ("Aggregates", "Backbone", "BackboneInfo", "Features", "Stage"),
    "vitbench.models.batch_norm": ("GlobalBatchNorm2d",),
    "vitbench.models.checkpoint": ("Checkpoint", "load_backbone", "resolve"),
    "vitbench.models.facts": ("PositionRule",),
    "vitbench.models.initialization": ("seeded",),
    "vitbench.models.scales": ("FourScales", "rescaling"),
    "vitbench.neighbours": ("Bank", "Neighbours", "search", "vote"),
    "vitbench.objectives.objective": (
        "Branch",
        "Objective",
        "ObjectiveSettings",
        "Progress",
        "TermLoss",
    ),
    "vitbench.objectives.positives": ("neighbour_similarities",),
    "vitbench.records": (
        "DataKind",
        "DatasetInfo",
        "MetricSpec",
        "Record",
        "atomic",
        "read_items",
        "read_records",
        "safe_name",
    ),
    "vitbench.reports.render": ("render",),
    "vitbench.reports.table": ("Table", "build_table"),
    "vitbench.settings": ("setting",),
    "vitbench.training.curves": ("write_curves",),
    "vitbench.training.drop_path": ("DropPath",),
    "vitbench.training.finetune": ("Course", "FineTuning", "Shuffled", "Surroundings"),
    "vitbench.training.journal": ("read_metrics",),
    "vitbench.training.presets": ("with_preset",),
    "vitbench.training.recipe": ("Recipe", "Term"),
    "vitbench.training.recipes": ("recipes",),
    "vitbench.training.schedules": ("Cosine", "Poly", "Steps"),
    "vitbench.training.snapshot": ("Saving", "Snapshots", "load_snapshot"),
    "vitbench.training.train": ("Options", "train"),
    "vitbench.training.trainer": ("Trainer",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = (
    "distributed",
    "errors",
)  # offered whole: api.distributed.share, api.errors.SettingError

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"vitbench.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"vitbench.api has no {name!r}")
