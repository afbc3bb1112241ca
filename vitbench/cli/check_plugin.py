"""`vitbench check-plugin NAME`: does a component keep its contract? For authors of plug-ins."""

from vitbench.cli.flags import taken
from vitbench.errors import SettingError, UnknownName

USAGE = """usage: vitbench check-plugin NAME [--preset NAME] [--data DATA] [settings]

Check that a plug-in keeps its contract. NAME is the name of a protocol, scorer, backbone, reader or
recipe; if several have it, each is checked; with settings, the protocol alone. Exit code 2 if a
check fails.

  --preset NAME  preset of the protocol to run it with, for a run that is short (default: small, if
                 there is one)
  --data DATA    small data set that the protocol runs on or the reader reads (default synthetic)

Other flags are settings of the protocol, as `vitbench eval` has them, to make its runs short.

examples:
  vitbench check-plugin knn
  vitbench check-plugin linear-probe --preset sweep --epochs 2"""


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    preset, rest = taken(arguments, "--preset")
    data, rest = taken(rest, "--data")
    if not rest or rest[0].startswith("-"):
        print(USAGE)
        return 0 if rest and rest[0] in {"-h", "--help"} else 2
    from vitbench.cli.plugin_checks import REGISTRIES, checks_of  # imports torch

    name, *settings = rest
    kinds = [kind for kind, registry in REGISTRIES.items() if name in registry.names()]
    if not kinds:
        known = {each for registry in REGISTRIES.values() for each in registry.names()}
        raise UnknownName("plug-in", name, known, hint="vitbench list")
    if settings and "protocol" not in kinds:
        raise SettingError([f"{settings[0]}: a {kinds[0]} is checked without settings"])
    for kind in kinds if settings else ():
        if kind != "protocol":
            print(f"{kind} {name}: not checked, it takes no settings; leave out {settings[0]}")
    checks = {
        kind: checks_of(kind, name, preset, data, settings)
        for kind in kinds
        if kind == "protocol" or not settings
    }
    failed = 0
    for kind, findings in checks.items():
        print(" ".join((kind, name, *settings)))
        for finding in findings:
            print(f"  {'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
            if not finding.passed:
                failed += 1
                print(f"        {finding.problem}")
    return 2 if failed else 0
