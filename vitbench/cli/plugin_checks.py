"""The checks that a plug-in of each kind must pass; imports torch."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from vitbench.cli.flags import parse
from vitbench.data.dataset import readers
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import EvaluationProtocol, protocols, scorers
from vitbench.models.code_names import backbones
from vitbench.registry import Registry
from vitbench.testing import (
    Finding,
    check_backbone,
    check_protocol,
    check_reader,
    check_recipe_of,
    check_scorer,
)
from vitbench.training.recipes import recipes

SHORT = "small"  # the preset that a protocol is run with, if it has one and no other is asked for
REGISTRIES: Mapping[str, Registry[object]] = {
    "protocol": protocols,
    "scorer": scorers,
    "backbone": backbones,
    "reader": readers,
    "recipe": recipes,
}


def checks_of(
    kind: str, name: str, preset: str | None, data: str | None, settings: Sequence[str]
) -> Iterator[Finding]:
    """Return the findings of one component's checks, each as soon as it is known.

    Args:
        kind: What it is: a key of `REGISTRIES`.
        name: What it is called.
        preset: Of a protocol.
        data: Small data that a protocol runs on or a reader reads.
        settings: Flags with a protocol's settings.

    Raises:
        UnknownName: There is no such preset.
        SettingError: A setting is outside its limits.
    """
    if kind == "protocol":
        return _protocol_checks(protocols.get(name), preset, data or "synthetic", settings)
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "scorer": lambda: check_scorer(scorers.get(name)),
        "backbone": lambda: check_backbone(backbones.get(name)),
        "reader": lambda: check_reader(name, readers.get(name), data=data or ""),
        "recipe": lambda: check_recipe_of(name, recipes.get(name)),
    }
    return checks[kind]()


def _protocol_checks(
    protocol: type[EvaluationProtocol], preset: str | None, data: str, settings: Sequence[str]
) -> Iterator[Finding]:
    """Read the settings of a protocol at once, and check it with them when asked."""
    short = preset or (SHORT if SHORT in protocol.presets else None)
    (chosen,) = parse(
        {f"settings of {protocol.name}": protocol},
        settings,
        prog=f"vitbench check-plugin {protocol.name}",
        description=f"Check that {protocol.name} keeps its contract, in runs with these settings.",
        defaults=preset_settings(protocol, short),
    )
    values = {
        item.name: getattr(chosen, item.name) for item in dataclasses.fields(chosen) if item.init
    }
    return check_protocol(protocol, data=data, **values)
