"""The context of one run: data, features, device, folders to write to, progress."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench import distributed
from vitbench.data.classified import QUERIES, TRAIN
from vitbench.data.content import Digests, combined, fingerprint, images_fingerprint
from vitbench.data.dataset import data_root, open_dataset
from vitbench.data.kinds import Dataset, ImageDataset
from vitbench.data.selection import Selection, selection
from vitbench.data.transforms import Normalization, Resampling
from vitbench.data.verify_images import verify_images
from vitbench.engine.default_data import data_of
from vitbench.engine.options import Kept, Log, Precision, Progress, Reporter, RunOptions
from vitbench.engine.protocol import Scoring
from vitbench.errors import BadPlugin, SettingError
from vitbench.records import DataKind, DatasetInfo

if TYPE_CHECKING:
    import torch

    from vitbench.engine.features import FeatureSpec, FeatureTable
    from vitbench.models.backbone import Backbone
    from vitbench.models.identity import WeightsIdentity


@dataclass(kw_only=True)
class Data:
    """The data of a run: opened before anything else, verified and hashed before any long work."""

    name: str
    kind: DataKind
    queries: str  # the second set, of the split `queries`; empty where there is none
    selection: Selection
    decoded: bool  # whether anybody looks at the images; else they need not be there
    skip_corrupt: int
    workers: int
    progress: Progress
    notes: list[str] = field(default_factory=list)  # what the reader of a record must know
    opened: dict[str, Dataset[Any]] = field(default_factory=dict)
    _images: dict[str, str] = field(default_factory=dict)  # fingerprints by split
    _screened: set[str] = field(default_factory=set)
    _marks: dict[str, str] = field(default_factory=dict)  # likewise, labels among them

    def __post_init__(self) -> None:
        root = data_root(self.name, self.kind, progress=self.progress)
        self._digests = Digests(root, self.workers, self.progress)

    def dataset(self, split: str) -> Dataset[Any]:
        """Open a split; a second call returns the same dataset."""
        if split not in self.opened:
            dataset = self._open(split)
            self.opened[split], notes = self.selection.of(dataset)
            self.notes += [*dataset.notes, *notes]
        return self.opened[split]

    def _open(self, split: str) -> Dataset[Any]:
        if split == QUERIES and self.queries:  # else it is a split of the data, so called
            from vitbench.data.transfer import open_queries

            return open_queries(self.queries, self.dataset(TRAIN).class_names, self.progress)
        return open_dataset(self.name, self.kind, split, progress=self.progress)

    def verify_images(self, splits: tuple[str, ...]) -> None:
        """Look at every image once, where the run reads images: broken ones are found before work.

        Raises:
            DatasetError: More are broken than may be left out.
        """
        for split in splits:
            if self.decoded and split not in self._screened:
                self.opened[split] = self._whole(self.dataset(split))
                self._screened.add(split)

    def describe(self, splits: tuple[str, ...]) -> DatasetInfo:
        """Describe what is scored, the last split, with the fingerprint of all that is read.

        One split alone keeps its own fingerprint.
        """
        for split in splits:
            if split not in self._marks:
                work = partial(fingerprint, self.dataset(split), self._digests, pixels=self.decoded)
                self._marks[split] = distributed.compute_on_main(work)
        mark = combined(self._marks[split] for split in splits)
        return replace(self.dataset(splits[-1]).info, fingerprint=mark)

    def images(self, split: str) -> str:
        """Hash the images of a split in their order, whatever their labels."""
        if split not in self._images:
            dataset = self.dataset(split)
            self._images[split] = distributed.compute_on_main(
                lambda: images_fingerprint(dataset, self._digests)
            )
        return self._images[split]

    def _whole(self, dataset: Dataset[Any]) -> Dataset[Any]:
        if not isinstance(dataset, ImageDataset):
            return dataset
        mark = distributed.compute_on_main(lambda: images_fingerprint(dataset, self._digests))
        kept, dropped = verify_images(
            dataset,
            fingerprint=mark,
            skip=self.skip_corrupt,
            workers=self.workers,
            progress=self.progress,
        )
        if dropped:
            self.notes.append(f"left out {len(dropped)} broken images: {', '.join(dropped)}")
        return kept


def open_data(
    component: Scoring,
    options: RunOptions,
    reporter: Reporter = Reporter(),  # noqa: B008  (frozen and silent)
    *,
    pixels: bool,
) -> Data:
    """Open the data of a run before anything else is loaded.

    Args:
        component: The protocol or scorer that reads them.
        options: Which data, how many items, how many threads.
        reporter: Progress.
        pixels: Whether images are looked at; labels alone can be scored without them.

    Raises:
        SettingError: An option would be without effect.
        VitbenchError: The data is not there, or not of its kind.
    """
    _check_resampling(component, options)
    data = Data(
        name=data_of(component, options.data),
        kind=component.data,
        queries=getattr(component, QUERIES, "") if QUERIES in component.splits else "",
        selection=selection(options.limit, options.split_list, component.splits),
        decoded=pixels,
        skip_corrupt=options.skip_corrupt,
        workers=options.threads,
        progress=reporter.progress,
    )
    for split in component.splits:
        data.dataset(split)
    for text in data.notes:
        reporter.log(text)
    return data


def _check_resampling(component: Scoring, options: RunOptions) -> None:
    if options.resampling != "exact" and not getattr(component, "follows_resampling", False):
        raise SettingError(
            [f"{component.name} does not resize images as --resampling {options.resampling} does"],
            hint="leave it out: with these settings its images are read as its source reads them",
        )


@dataclass(kw_only=True)
class RunContext:
    """The engine's `Context`."""

    place: "torch.device | None"  # None: nothing is computed by torch, unless it is asked for
    precision: Precision
    resampling: Resampling
    seed: int
    normalization: Normalization
    workers: int
    batch_size: int | None
    store: Kept
    scratch: Path
    output: Path
    data: Data
    backbone: "Backbone | None"
    weights: "WeightsIdentity | None"  # of the backbone
    progress: Progress
    note: Log
    tables: "list[FeatureTable]" = field(default_factory=list)

    @property
    def device(self) -> "torch.device":
        """See `Context.device`."""
        import torch

        return torch.device("cpu") if self.place is None else self.place

    def dataset(self, split: str) -> Dataset[Any]:
        """See `Context.dataset`."""
        return self.data.dataset(split)

    def features(self, split: str, spec: "FeatureSpec") -> "FeatureTable":
        """See `Context.features`."""
        from vitbench.engine.features import Pass, extract

        assert self.backbone is not None, "features of what? the protocol must need a backbone"
        assert self.weights is not None
        dataset = self.dataset(split)
        if not isinstance(dataset, ImageDataset):
            raise BadPlugin(
                f"features of {dataset.info.kind} were asked for, whose items are no images.",
                expected="a kind of data whose dataset is a vitbench.api.ImageDataset",
                found=type(dataset).__name__,
            )
        spec = replace(spec, view=replace(spec.view, resampling=self.resampling))
        run = Pass(
            backbone=self.backbone,
            weights=self.weights,
            normalization=self.normalization,
            precision=self.precision,
            device=self.device,
            workers=self.workers,
            batch_size=self.batch_size,
            store=self.store,
        )
        table = extract(run, dataset, self.data.images(split), spec, self.progress)
        self.tables.append(table)
        return table

    def autocast(self) -> "torch.autocast":
        """See `Context.autocast`."""
        from vitbench.engine.features import autocast

        return autocast(self.device, self.precision)
