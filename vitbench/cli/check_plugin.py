"""`vitbench check-plugin NAME`: does a component keep its contract? For authors of plug-ins."""

from vitbench.cli.flags import taken
from vitbench.errors import UnknownName

USAGE = """usage: vitbench check-plugin NAME [--preset NAME] [--data DATA]

Check that a plug-in keeps its contract. NAME is the name of a protocol, scorer, backbone, reader or
recipe; if several have it, each is checked. Exit code 2 if a check fails.

  --preset NAME  preset of the protocol to run it with, for a run that is short (default: small, if
                 there is one)
  --data DATA    small data set that the protocol runs on or the reader reads (default synthetic)

example:
  vitbench check-plugin knn"""


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    preset, rest = taken(arguments, "--preset")
    data, names = taken(rest, "--data")
    if len(names) != 1 or names[0] in {"-h", "--help"}:
        print(USAGE)
        return 0 if names and names[0] in {"-h", "--help"} else 2
    from vitbench.cli.plugin_checks import REGISTRIES, findings  # imports torch

    name = names[0]
    kinds = [kind for kind, registry in REGISTRIES.items() if name in registry.names()]
    if not kinds:
        known = {each for registry in REGISTRIES.values() for each in registry.names()}
        raise UnknownName("plug-in", name, known, hint="vitbench list")
    failed = 0
    for kind in kinds:
        print(f"{kind} {name}")
        for finding in findings(kind, name, preset, data):
            print(f"  {'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
            if not finding.passed:
                failed += 1
                print(f"        {finding.problem}")
    return 2 if failed else 0
