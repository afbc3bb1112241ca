"""From a recipe and the name of some data to a trained checkpoint in a folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vitbench import distributed
from vitbench.data.dataset import open_dataset
from vitbench.data.selection import selection
from vitbench.data.training_loader import TrainingLoader
from vitbench.errors import DatasetNotFound, SettingError, TrainingError
from vitbench.models.factory import assemble, find_architecture
from vitbench.models.run_folder import RUN_DOCUMENT, RUN_FILE, RUNS
from vitbench.objectives.objective import Annotations
from vitbench.online_knn import OnlineKnn
from vitbench.records import atomic
from vitbench.settings import digest, plain, problems
from vitbench.training.determinism import deterministic_kernels
from vitbench.training.identity import identity_of
from vitbench.training.images import open_images
from vitbench.training.loop import Loop
from vitbench.training.metric_log import Row
from vitbench.training.options import ComputeConfig, Options
from vitbench.training.pretraining import Pretraining
from vitbench.training.recipe import Recipe, check_recipe
from vitbench.training.resources import first_line, memory_ran_out, writing
from vitbench.training.run_lock import run_lock
from vitbench.training.sharding import check_shards
from vitbench.training.trainer import Trainer


def train(
    recipe: Recipe,
    folder: Path | None = None,
    options: Options = Options(),
    *,
    device: torch.device | str = "cpu",
    steps: int | None = None,
    allow_changes: bool = False,
    note: Mapping[str, Any] = {},
    about: str = "",
    log: Callable[[str], None] = lambda _: None,
    callback: Callable[[Row], None] = lambda _: None,
) -> Path:
    """Train a recipe, going on from the newest snapshot if the folder has one.

    Args:
        recipe: What to learn.
        folder: Where the run lives; left out, `runs/RECIPE-DATA-HASH`, where the hash stands for
            all that the run learns from.
        options: Data and the way to compute, save and watch.
        device: Where to compute.
        steps: Stop after so many steps in all; left out: the recipe's epochs.
        allow_changes: Go on from a snapshot though settings or data are others now; the run's
            document says which, and from which step on.
        note: What else to write into the run's document.
        about: A sentence on how the recipe was chosen.
        log: Told, before any work, what is trained on, `about`, and where the run lives.
        callback: Told every line of the metric log.

    Returns:
        The file with the teacher's backbone; the folder is a checkpoint too.

    Raises:
        SettingError: Settings are out of range, or the folder holds another run or one at work.
        DatasetError: The images can't be used.
        Stopped: After saving, on SIGTERM, SIGUSR1 or ctrl-C.
        TrainingError: The loss is not finite, memory or disk ran out.
    """
    check_recipe(recipe)
    check_options(options, recipe.batch_size, steps)
    device = torch.device(device)
    if options.computing.shard:
        compiled = options.computing.compile == "on"
        check_shards(distributed.world_size(), device.type, compiled=compiled)
    options = replace(options, computing=options.computing.on(device))
    found = open_images(options.inputs.data, options.inputs.split_list)
    log(f"training on {found}")
    log(about or recipe.name)
    loader = TrainingLoader(
        found.images,
        recipe.crops,
        options.loading,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        device=device,
        rank=distributed.rank(),
        processes=distributed.world_size(),
    )
    annotations = open_annotations(recipe, options.inputs.data)
    probe = open_probe(options, log)
    facts = found.facts(log)
    if annotations:
        facts["annotations"] = "-".join(each.fingerprint for each in annotations.values())
    identity = identity_of(recipe, *options.parts, data=facts)
    folder = folder or default_folder(recipe, options.inputs.data, digest(identity))
    log(f"in the run folder {folder}")
    trainer = build_trainer(recipe, loader.steps, device, options.computing, annotations)
    with run_lock(folder):
        task = Pretraining(
            trainer,
            loader,
            folder,
            identity=identity,
            allow_changes=allow_changes,
            keep_every=options.saving.keep_every,
            probe=probe,
            probe_every=options.watching.probe_every,
        )
        loop = Loop(
            task,
            output=folder,
            scratch=folder,
            saving=options.saving,
            log_every=options.watching.log_every,
            callback=callback,
            hint=f"vitbench resume {folder}",
        )
        document = {"recipe": plain(recipe), "options": plain(options), **note, **facts}
        document["root"] = found.places
        distributed.compute_on_main(lambda: write_document(task, document))
        with deterministic_kernels(options.computing.deterministic):
            loop.run(until=steps)
    return folder / RUN_FILE


def check_options(options: Options, batch_size: int, steps: int | None) -> None:
    """Refuse settings outside their limits, and a batch that can't be cut as they say.

    Raises:
        SettingError: With every problem there is.
    """
    found = [problem for part in options.parts for problem in problems(part)]
    if not options.inputs.data:  # which would stand for the folder that the command is typed in
        found.append("--data is empty, expected a name, a path or shards")
    if steps is not None and steps < 1:
        found.append(f"--steps is {steps}, expected at least 1")
    parts, share = options.computing.accumulate, batch_size // distributed.world_size()
    if parts > 0 and share % parts:
        found.append(f"--accumulate is {parts}, expected a divisor of the {share} images at once")
    if found:
        raise SettingError(found)


def default_folder(recipe: Recipe, data: str, mark: str) -> Path:
    """Return where a run lives that was told no folder."""
    return RUNS / f"{recipe.name}-{Path(data).name}-{mark[:8]}"


def build_trainer(
    recipe: Recipe,
    steps_per_epoch: int,
    device: torch.device,
    computing: ComputeConfig,
    annotations: Mapping[str, Annotations],
) -> Trainer:
    """Build the networks of a run on their device.

    Raises:
        TrainingError: They need more memory than there is.
    """
    try:
        return Trainer(
            recipe,
            steps_per_epoch=steps_per_epoch,
            device=device,
            computing=computing,
            annotations=annotations,
        )
    except (RuntimeError, MemoryError) as error:
        if not memory_ran_out(error):
            raise
        raise TrainingError(
            f"the memory of {device} ran out while the networks were built.",
            expected=f"room for student, teacher and heads of {recipe.arch}",
            found=first_line(error),
            hint="a smaller --arch, or heads with fewer prototypes and narrower layers",
        ) from error


def write_document(run: Pretraining, document: Mapping[str, Any]) -> None:
    """Write the run's document; changes that were allowed are added to those before them."""
    path = run.folder / RUN_DOCUMENT
    allowed = _changes_of(path)
    if run.changed:
        told = {name: list(sides) for name, sides in run.changed.items()}
        allowed = [*allowed, {"from_step": run.step, "changed": told}]
    if allowed:
        document = {**document, "changes": allowed}
    with writing("the run's document", run.folder), atomic(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n")


def _changes_of(path: Path) -> list[Any]:
    try:
        return list(json.loads(path.read_text())["changes"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def open_annotations(recipe: Recipe, data: str) -> dict[str, Annotations]:
    """Open what the terms of a recipe must know beside pixels, by the names of their objectives.

    Raises:
        DatasetError: The data has no such thing.
    """
    patch_size = assemble(find_architecture(recipe.arch)).info.patch_size
    prepared = {
        term.objective.name: term.objective.prepare(data, patch_size) for term in recipe.active
    }
    return {name: found for name, found in prepared.items() if found is not None}


def open_probe(options: Options, log: Callable[[str], None] = lambda _: None) -> OnlineKnn | None:
    """Open the labeled data of the online 20-NN; None, which is told, if there are no labels.

    Raises:
        DatasetError: Data was named for it and has no labels, or val has a class that train lacks.
    """
    if not options.watching.probe_every:
        return None
    inputs = options.inputs
    name = inputs.probe_data or inputs.data
    listed = () if inputs.probe_data or not inputs.split_list else (inputs.split_list,)
    chosen = selection(inputs.probe_images, listed, ("train", "val"))
    try:
        bank, _ = chosen.of(open_dataset(name, "classification", "train"))
        queries, _ = chosen.of(open_dataset(name, "classification", "val"))
    except DatasetNotFound as error:
        if inputs.probe_data:
            raise
        log(f"without the online 20-NN (--probe-data names images with classes): {error.wrong}")
        return None
    return OnlineKnn(bank, queries, options.loading.threads)
