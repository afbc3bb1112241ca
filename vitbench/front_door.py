"""One call each: evaluate, score, train, report, load; by names or by objects on either side."""

import dataclasses
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from vitbench import distributed
from vitbench.engine import evaluate as engine
from vitbench.engine import score as scoring
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.protocol import EvaluationProtocol, Scorer, protocols, scorers
from vitbench.engine.run import Evaluation
from vitbench.errors import SettingError
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import Checkpoint, checkpoint_of, load_backbone, resolve
from vitbench.models.wrapped import wrap
from vitbench.records import read_records
from vitbench.reports.inline import Report
from vitbench.reports.render import Form
from vitbench.reports.table import build_table
from vitbench.settings_by_name import converted, names_of, sorted_by_owner, with_values
from vitbench.training import train as training
from vitbench.training.options import Options
from vitbench.training.presets import with_preset
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import recipes

Subject = str | Path | Checkpoint | nn.Module
FACTS_OF_FILES = tuple(signature(resolve).parameters)[1:]  # beside the name
FACTS_OF_MODULES = tuple(signature(wrap).parameters)[1:]


def evaluate(
    protocol: str | type[EvaluationProtocol] | EvaluationProtocol,
    subject: Subject | None,
    options: RunOptions | None = None,
    reporter: Reporter = Reporter(),  # noqa: B008  (frozen and silent)
    *,
    preset: str | None = None,
    **settings: Any,
) -> Evaluation:
    """Score one network with one protocol, as `vitbench eval` does.

    Args:
        protocol: A name (`knn`), a class, or a protocol with its settings.
        subject: The name or path of a checkpoint; a `Checkpoint` or `Backbone`; any `nn.Module`
            that gives tokens or maps, see `wrap`. None scores the ground truth, where the protocol
            can.
        options: Data, device, seed and the like.
        reporter: Progress and remarks.
        preset: Settings of a published variant of the protocol; the settings told win over them.
        settings: Any setting of the protocol and of the options (`data="synthetic"`),
            and what is told of the subject: of a checkpoint's file as to `resolve`, of a module as
            to `wrap`.

    Returns:
        The record, `.record`, and where it lies, `.path`.

    Raises:
        VitbenchError: What the user can fix.

    Example:
        >>> found = evaluate("knn", "random:vit_mini_patch8_64", data="synthetic", limit=40)
        >>> found.record.dataset.name
        'synthetic'
    """
    kind = protocols.get(protocol) if isinstance(protocol, str) else protocol
    facts = FACTS_OF_FILES if isinstance(subject, str | Path) else ()
    if isinstance(subject, nn.Module) and not isinstance(subject, Backbone):
        facts = FACTS_OF_MODULES
    groups = {
        f"{kind.name}'s settings": names_of(kind),
        "options": names_of(RunOptions),
        "facts of the subject": facts,
    }
    own, how, told = sorted_by_owner(settings, groups)
    ready = _component(kind, preset, own)
    options = with_values(options or RunOptions(), how)
    return engine.evaluate(ready, _checkpoint(subject, told), options, reporter)


def score(
    scorer: str | type[Scorer] | Scorer,
    predictions: str | Path,
    options: RunOptions | None = None,
    reporter: Reporter = Reporter(),  # noqa: B008  (frozen and silent)
    *,
    preset: str | None = None,
    **settings: Any,
) -> Evaluation:
    """Score a file or folder of predictions that any program wrote, as `vitbench score` does.

    Args:
        scorer: A name, a class, or a scorer with its settings.
        predictions: The file or folder.
        options: Data, seed and the like.
        reporter: Progress and remarks.
        preset: Settings of a published variant; the settings told win over them.
        settings: Any setting of the scorer and of the options.

    Raises:
        VitbenchError: What the user can fix.
    """
    kind = scorers.get(scorer) if isinstance(scorer, str) else scorer
    groups = {f"{kind.name}'s settings": names_of(kind), "options": names_of(RunOptions)}
    own, how = sorted_by_owner(settings, groups)
    options = with_values(options or RunOptions(), how)
    return scoring.score(_component(kind, preset, own), Path(predictions), options, reporter)


def train(
    recipe: str | Recipe,
    folder: str | Path | None = None,
    options: Options | None = None,
    *,
    device: str = "auto",
    steps: int | None = None,
    preset: str | None = None,
    allow_changes: bool = False,
    **settings: Any,
) -> Path:
    """Train a recipe into a folder, as `vitbench train` does; the same call goes on with it.

    Args:
        recipe: A name (`dino`) or a recipe.
        folder: Where the run lives; left out, `runs/RECIPE-DATA-HASH`.
        options: Data and the way to compute, save and watch.
        device: auto, cpu, cuda or cuda:N.
        steps: Stop after so many steps in all; left out: the recipe's epochs.
        preset: Settings of a published run; the settings told win over them.
        allow_changes: Go on from a snapshot though settings or data are others now.
        settings: Any setting of the recipe and of the options (`data="synthetic"`, `epochs=2`).

    Returns:
        The file with the trained backbone; its folder is a checkpoint too.

    Raises:
        VitbenchError: What the user can fix.
    """
    made = recipes.get(recipe)() if isinstance(recipe, str) else recipe
    made = made if preset is None else with_preset(made, preset)
    options = options or Options()
    parts = {item.name: getattr(options, item.name) for item in dataclasses.fields(options)}
    groups = {f"{made.name}'s settings": names_of(made)}
    groups |= {name: names_of(part) for name, part in parts.items()}
    own, *others = sorted_by_owner(settings, groups)
    changed = {
        name: with_values(part, mine)
        for (name, part), mine in zip(parts.items(), others, strict=True)
    }
    return training.train(
        with_values(made, own),
        Path(folder) if folder is not None else None,
        Options(**changed),
        device=distributed.find_device(device),
        steps=steps,
        allow_changes=allow_changes,
    )


def report(
    results: str | Path = "results",
    *,
    format: Form = "markdown",  # noqa: A002  (the command's own word)
    compare: Sequence[str] = (),
    published: str = "",
    strict: bool = False,
    against: str = "",
    metrics: Sequence[str] = (),
) -> Report:
    """Return the records of a folder side by side, as `vitbench report` writes them.

    What comes back is a string; a notebook shows the HTML page in its place.

    Args:
        results: The folder with the records.
        format: Form of the report.
        compare: Runs or methods to show, in this order; left out: all.
        published: Printed rows to show beside them.
        strict: Refuse runs whose settings or data differ.
        against: The run that all others are held against; left out: all pairs are compared.
        metrics: Metrics to show beside the ones that rank, with shell patterns; left out: all.

    Raises:
        VitbenchError: What the user can fix.
    """
    folder = Path(results)
    table = build_table(
        read_records(folder),
        compare=tuple(compare),
        published=published,
        strict=strict,
        folder=folder,
        against=against,
        metrics=tuple(metrics),
    )
    return Report.of(table, format)


def load(subject: Subject, *, device: str = "cpu", **facts: Any) -> Backbone:
    """Return the network of a checkpoint, evaluating and frozen.

    Args:
        subject: The name or path of a checkpoint, a `Checkpoint`, or any `nn.Module` that gives
            tokens or maps.
        device: auto, cpu, cuda or cuda:N.
        facts: What is told of it: of a file as to `resolve`, of a module as to `wrap`.

    Raises:
        VitbenchError: What the user can fix.
    """
    checkpoint = _checkpoint(subject, facts)
    assert checkpoint is not None
    return load_backbone(checkpoint, device=distributed.find_device(device))


def _checkpoint(subject: Subject | None, facts: Mapping[str, Any]) -> Checkpoint | None:
    """Make a checkpoint of a name, path, module or `Checkpoint`."""
    if isinstance(subject, str | Path):
        return resolve(str(subject), **facts)
    if isinstance(subject, nn.Module):
        return checkpoint_of(wrap(subject, **facts))
    return subject


def _component(kind: Any, preset: str | None, settings: Mapping[str, Any]) -> Any:
    """Return a protocol or scorer with its settings."""
    if isinstance(kind, type):
        return from_preset(kind, preset, **converted(kind, settings))
    if preset is not None:
        raise SettingError(
            [f"preset {preset!r} and a {kind.name} with settings of its own"],
            hint=f"the name {kind.name!r} in the place of the object",
        )
    return with_values(kind, settings)
