"""`vitbench check-plugin NAME`: does a component keep its contract? For authors of plug-ins."""

from collections.abc import Callable, Iterator, Mapping

from vitbench.cli.flags import taken
from vitbench.data.dataset import readers
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import protocols, scorers
from vitbench.errors import UnknownName
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

USAGE = """usage: vitbench check-plugin NAME [--preset NAME] [--data DATA]

NAME is that of a protocol, scorer, backbone, reader or recipe; all that have the name are checked.

  --preset NAME  settings of a protocol that make its run short
  --data DATA    a small data set: what a protocol runs on, and what a reader reads"""
REGISTRIES: Mapping[str, Registry[object]] = {
    "protocol": protocols,
    "scorer": scorers,
    "backbone": backbones,
    "reader": readers,
    "recipe": recipes,
}


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    preset, rest = taken(arguments, "--preset")
    data, names = taken(rest, "--data")
    if len(names) != 1 or names[0] in {"-h", "--help"}:
        print(USAGE)
        return 0 if names and names[0] in {"-h", "--help"} else 2
    name = names[0]
    kinds = [kind for kind, registry in REGISTRIES.items() if name in registry.names()]
    if not kinds:
        known = {each for registry in REGISTRIES.values() for each in registry.names()}
        raise UnknownName("plug-in", name, known, hint="vitbench list")
    failed = 0
    for kind in kinds:
        print(f"{kind} {name}")
        for finding in _findings(kind, name, preset, data):
            print(f"  {'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
            if not finding.passed:
                failed += 1
                print(f"        {finding.problem}")
    return 2 if failed else 0


def _findings(kind: str, name: str, preset: str | None, data: str | None) -> Iterator[Finding]:
    if kind == "protocol":
        protocol = protocols.get(name)
        chosen = preset_settings(protocol, preset)
        return check_protocol(protocol, data=data or "synthetic", **chosen)
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "scorer": lambda: check_scorer(scorers.get(name)),
        "backbone": lambda: check_backbone(backbones.get(name)),
        "reader": lambda: check_reader(name, readers.get(name), data=data or ""),
        "recipe": lambda: check_recipe_of(name, recipes.get(name)),
    }
    return checks[kind]()
