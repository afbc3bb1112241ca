"""The checks that a plug-in of each kind must pass; imports torch."""

from collections.abc import Callable, Iterator, Mapping

from vitbench.data.dataset import readers
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import protocols, scorers
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


def findings(kind: str, name: str, preset: str | None, data: str | None) -> Iterator[Finding]:
    """Yield the finding of each check of one component."""
    if kind == "protocol":
        protocol = protocols.get(name)
        chosen = preset_settings(protocol, preset or (SHORT if SHORT in protocol.presets else None))
        return check_protocol(protocol, data=data or "synthetic", **chosen)
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "scorer": lambda: check_scorer(scorers.get(name)),
        "backbone": lambda: check_backbone(backbones.get(name)),
        "reader": lambda: check_reader(name, readers.get(name), data=data or ""),
        "recipe": lambda: check_recipe_of(name, recipes.get(name)),
    }
    return checks[kind]()
