"""THE public interface: what a user or the author of a protocol needs; re-exports, nothing else.

Parts that only training and authors of protocols share are in `vitbench.kit`.

>>> from vitbench import api
>>> knn = api.from_preset(api.protocols.get("knn"), "dino")
>>> checkpoint = api.resolve("random:vit_mini_patch8_64")
>>> options = api.RunOptions(data="synthetic", limit=40)  # data left out: the protocol's usual set
>>> record = api.evaluate(knn, checkpoint, options).record
>>> record.dataset.name, record.primary().label
('synthetic', 'top-1 (k=20)')
"""

from typing import TYPE_CHECKING

from vitbench.lazy import importer

if TYPE_CHECKING:
    from vitbench import errors as errors
    from vitbench.data.dataset import Reader as Reader
    from vitbench.data.dataset import open_dataset as open_dataset
    from vitbench.data.kinds import ClassificationDataset as ClassificationDataset
    from vitbench.data.kinds import Dataset as Dataset
    from vitbench.data.kinds import ImageDataset as ImageDataset
    from vitbench.data.kinds import IndexMapDataset as IndexMapDataset
    from vitbench.data.kinds import InstanceDataset as InstanceDataset
    from vitbench.data.kinds import Sample as Sample
    from vitbench.data.transforms import ImageView as ImageView
    from vitbench.data.transforms import Normalization as Normalization
    from vitbench.engine.features import FeatureSpec as FeatureSpec
    from vitbench.engine.features import FeatureTable as FeatureTable
    from vitbench.engine.features import Output as Output
    from vitbench.engine.options import Reporter as Reporter
    from vitbench.engine.options import RunOptions as RunOptions
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
    from vitbench.front_door import evaluate as evaluate
    from vitbench.front_door import load as load
    from vitbench.front_door import report as report
    from vitbench.front_door import score as score
    from vitbench.front_door import train as train
    from vitbench.models.backbone import Backbone as Backbone
    from vitbench.models.backbone import BackboneInfo as BackboneInfo
    from vitbench.models.backbone import Features as Features
    from vitbench.models.backbone import Stage as Stage
    from vitbench.models.checkpoint import Checkpoint as Checkpoint
    from vitbench.models.checkpoint import load_backbone as load_backbone
    from vitbench.models.checkpoint import resolve as resolve
    from vitbench.models.wrapped import wrap as wrap
    from vitbench.records import DataKind as DataKind
    from vitbench.records import DatasetInfo as DatasetInfo
    from vitbench.records import MetricSpec as MetricSpec
    from vitbench.records import Record as Record
    from vitbench.records import read_items as read_items
    from vitbench.records import read_records as read_records
    from vitbench.reports.render import render as render
    from vitbench.reports.table import Table as Table
    from vitbench.reports.table import build_table as build_table
    from vitbench.settings import setting as setting
    from vitbench.training.options import Options as Options
    from vitbench.training.presets import with_preset as with_preset
    from vitbench.training.recipe import Recipe as Recipe
    from vitbench.training.recipe import Term as Term
    from vitbench.training.recipes import recipes as recipes

_HOMES = {
    "vitbench.data.dataset": ("Reader", "open_dataset"),
    "vitbench.data.kinds": (
        "ClassificationDataset",
        "Dataset",
        "ImageDataset",
        "IndexMapDataset",
        "InstanceDataset",
        "Sample",
    ),
    "vitbench.data.transforms": ("ImageView", "Normalization"),
    "vitbench.engine.features": ("FeatureSpec", "FeatureTable", "Output"),
    "vitbench.engine.options": ("RunOptions", "Reporter"),
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
    "vitbench.engine.run": ("Evaluation",),
    "vitbench.front_door": ("evaluate", "load", "report", "score", "train"),
    "vitbench.models.backbone": ("Backbone", "BackboneInfo", "Features", "Stage"),
    "vitbench.models.checkpoint": ("Checkpoint", "load_backbone", "resolve"),
    "vitbench.models.wrapped": ("wrap",),
    "vitbench.records": (
        "DataKind",
        "DatasetInfo",
        "MetricSpec",
        "Record",
        "read_items",
        "read_records",
    ),
    "vitbench.reports.render": ("render",),
    "vitbench.reports.table": ("Table", "build_table"),
    "vitbench.settings": ("setting",),
    "vitbench.training.options": ("Options",),
    "vitbench.training.presets": ("with_preset",),
    "vitbench.training.recipe": ("Recipe", "Term"),
    "vitbench.training.recipes": ("recipes",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("errors",)  # offered whole

__all__ = sorted([*_HOME, *_MODULES])
__getattr__ = importer(__name__, {**_HOME, **{name: f"vitbench.{name}:" for name in _MODULES}})
