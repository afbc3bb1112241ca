"""From a recipe and the name of some data to a trained checkpoint in a folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vitbench import distributed
from vitbench.data.coco import open_coco
from vitbench.data.dataset import find_root, open_dataset
from vitbench.data.image_files import Images, find_images
from vitbench.data.shards import Shards, open_training_images
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import synthetic_folder
from vitbench.data.training_loader import Loading, TrainingLoader
from vitbench.errors import DatasetNotFound
from vitbench.models.assembly import assemble, find_architecture
from vitbench.objectives.patch import Patch
from vitbench.probe import Probe
from vitbench.records import atomic
from vitbench.settings import checked, plain, setting
from vitbench.training.claim import claimed
from vitbench.training.fit import Run, Watching
from vitbench.training.journal import Row
from vitbench.training.recipe import Recipe, check_recipe
from vitbench.training.snapshot import Saving
from vitbench.training.trainer import Computing, Trainer
from vitbench.training.truth import GroundTruth

RUN_DOCUMENT = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run learns from and looks at."""

    data: str = setting(
        SYNTHETIC,
        help="images: a name under $VITBENCH_DATA, a path, synthetic, shards (URL, x-{0..9}.tar)",
    )
    probe_data: str = setting(
        "",
        help="labelled folders for the online 20-NN; left out: the data, if it has labels",
        identity=False,
    )
    probe_images: int = setting(
        2000, help="images of each split that the online 20-NN looks at", minimum=1, identity=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a run that are not the recipe's."""

    inputs: Inputs = field(default_factory=Inputs)
    loading: Loading = field(default_factory=Loading)
    computing: Computing = field(default_factory=Computing)
    saving: Saving = field(default_factory=Saving)
    watching: Watching = field(default_factory=Watching)


def train(
    recipe: Recipe,
    folder: Path,
    options: Options = Options(),
    *,
    device: torch.device | str = "cpu",
    steps: int | None = None,
    note: dict[str, Any] | None = None,
    listener: Callable[[Row], None] = lambda _: None,
) -> Path:
    """Train a recipe, going on from the newest snapshot if the folder has one.

    Args:
        recipe: What to learn.
        folder: Where the run lives.
        options: Data and the way to compute, save and watch.
        device: Where to compute.
        steps: Stop after so many steps in all; left out: the recipe's epochs.
        note: What else to write into the run's document.
        listener: Told every line of the journal.

    Returns:
        The file with the teacher's backbone; the folder is a checkpoint too.

    Raises:
        SettingError: Settings are out of range, or the folder holds another run or one at work.
        Stopped: After saving, on SIGTERM or ctrl-C.
        TrainingError: The loss is not finite, memory or disk ran out.
    """
    check_recipe(recipe)
    for part in (options.inputs, options.loading, options.computing, options.saving):
        checked(part)
    loader = TrainingLoader(
        open_images(options.inputs.data),
        recipe.crops,
        options.loading,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        device=torch.device(device),
        rank=distributed.rank(),
        processes=distributed.world_size(),
    )
    trainer = Trainer(
        recipe,
        steps_per_epoch=loader.steps,
        device=torch.device(device),
        computing=options.computing,
        truth=open_truth(recipe, options.inputs.data),
    )
    with claimed(folder):
        run = Run(
            trainer,
            loader,
            folder,
            data=options.inputs.data,
            saving=options.saving,
            watching=options.watching,
            probe=open_probe(options),
            listener=listener,
        )
        if distributed.is_main():
            document = {"recipe": plain(recipe), "options": plain(options), **(note or {})}
            with atomic(folder / RUN_DOCUMENT) as path:
                path.write_text(json.dumps(document, indent=1) + "\n")
        return run.fit(steps=steps)


def open_images(data: str) -> Images | Shards:
    """Open the training images of a dataset's name or path, or shards."""
    if data == SYNTHETIC:
        return find_images(synthetic_folder("classification"))
    return open_training_images(data)


def open_truth(recipe: Recipe, data: str) -> GroundTruth | None:
    """Open the annotations that a recipe is guided by; None if it is not.

    Raises:
        DatasetError: The data has no annotations of COCO's form.
    """
    for term in recipe.active:
        objective = term.objective
        if isinstance(objective, Patch) and objective.positives == "ground-truth":
            patch_size = assemble(find_architecture(recipe.arch)).info.patch_size
            dataset = open_coco(find_root(data), "train")
            return GroundTruth(dataset, patch_size=patch_size, wrap=objective.wrap)
    return None


def open_probe(options: Options) -> Probe | None:
    """Open the labelled data of the online 20-NN; None if there are no labels.

    Raises:
        DatasetError: Data was named for it and has no labels, or val has a class that train lacks.
    """
    if not options.watching.probe_every:
        return None
    inputs = options.inputs
    name, most = inputs.probe_data or inputs.data, inputs.probe_images
    try:
        bank = open_dataset(name, "classification", "train", limit=most)
        queries = open_dataset(name, "classification", "val", limit=most)
    except DatasetNotFound:
        if inputs.probe_data:
            raise
        return None
    return Probe(bank, queries, options.loading.workers)
