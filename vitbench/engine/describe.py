"""What a protocol or scorer says of itself, for help texts, lists and the checks of plug-ins."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vitbench.data.dataset import readers
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.engine.default_data import default_data
from vitbench.engine.protocol import Scoring
from vitbench.records import MetricSpec
from vitbench.settings import as_dict, is_component

Command = Literal["eval", "score"]
SUBJECTS = {"eval": "ckpt.pth --arch vit_small_patch16_224", "score": "PREDICTIONS"}
NAMED = 4  # metrics that are named beside the primary one


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A protocol or scorer in the words of its class."""

    measures: str  # first paragraph of the docstring
    reports: str  # the metrics, the primary one first
    kind: str  # of data
    usual: str  # data set that is read where none is named; empty where there is none
    layout: Sequence[str]  # folder layouts of this kind of data
    presets: Mapping[str, str]  # one line for each preset
    examples: Sequence[str]  # commands

    @property
    def summary(self) -> str:
        """The first sentence on what is measured."""
        return _first_sentence(self.measures)


def what_it_measures(component: type[Scoring]) -> str:
    """Say in a sentence what a protocol or scorer measures; no reader of data is imported."""
    return _first_sentence(_measures(component))


def describe(component: type[Scoring], command: Command) -> Description:
    """Describe a protocol or scorer.

    Args:
        component: The class. It may declare `preset_notes` (a line for each preset: paper, cost)
            and `examples` (commands) as class variables; what it does not declare is made from
            its settings.
        command: The command that runs it.
    """
    own: Any = component
    kind, usual = own().data, default_data(component)
    notes: Mapping[str, str] = getattr(component, "preset_notes", {})
    presets = {
        name: notes.get(name) or _changes(component, settings)
        for name, settings in component.presets.items()
    }
    return Description(
        measures=_measures(component),
        reports=_reports(component.metrics),
        kind=kind,
        usual=usual,
        layout=readers.get(kind).layout,
        presets=presets,
        examples=getattr(component, "examples", ()) or _examples(component, command, usual),
    )


def _measures(component: type[Scoring]) -> str:
    return " ".join((inspect.getdoc(component) or "").split("\n\n")[0].split())


def _first_sentence(text: str) -> str:
    head, stop, _ = text.partition(". ")
    return head + stop.strip()


def _reports(metrics: Sequence[MetricSpec]) -> str:
    """Name the metrics, the primary one first; of many only the first few."""
    primary = next(metric for metric in metrics if metric.primary)
    others = [metric.label for metric in metrics if not metric.primary]
    shown = ", ".join(others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    unit = {"": "", "%": ", in percent"}.get(primary.unit, f", a {primary.unit}")
    return f"{primary.label}{unit}" + (f"; also {shown}{more}" if others else "")


def _changes(component: type[Scoring], settings: Mapping[str, Any]) -> str:
    """Say which settings a preset changes."""
    kind: Any = component
    plain, changed = as_dict(kind()), as_dict(kind(**settings))
    names = [
        f"{name} {type(settings[name]).__name__ if is_component(settings[name]) else value}"
        for name, value in changed.items()
        if value != plain[name]
    ]
    return ", ".join(names) or "the defaults"


def _examples(component: type[Scoring], command: Command, usual: str) -> tuple[str, ...]:
    """Return a command with the usual data, and one on the built-in data."""
    start, subject = f"vitbench {command} {component.name}", SUBJECTS[command]
    preset = next(iter(component.presets), None)
    chosen = f" --preset {preset}" if preset else ""
    return (
        f"{start} {subject} --data {usual or 'PATH'}",
        f"{start} {subject}{chosen} --data {SYNTHETIC}",
    )
