"""`vitbench check-plugin NAME`: does a component keep its contract? For authors of plug-ins."""

from collections.abc import Iterator

from vitbench.cli.flags import taken
from vitbench.data.dataset import readers
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import protocols
from vitbench.errors import UnknownName
from vitbench.testing.conformance import Finding, check_protocol
from vitbench.testing.reader_checks import check_reader

USAGE = """usage: vitbench check-plugin NAME [--preset NAME] [--data DATA]

NAME is that of a protocol or of a reader's kind of data; all that have the name are checked.

  --preset NAME  settings of a protocol that make its run short
  --data DATA    a small data set: what a protocol runs on, and what a reader reads"""


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    preset, rest = taken(arguments, "--preset")
    data, names = taken(rest, "--data")
    if len(names) != 1 or names[0] in {"-h", "--help"}:
        print(USAGE)
        return 0 if names and names[0] in {"-h", "--help"} else 2
    failed = 0
    for finding in _findings(names[0], preset, data or ""):
        print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
        if not finding.passed:
            failed += 1
            print(f"      {finding.problem}")
    return 2 if failed else 0


def _findings(name: str, preset: str | None, data: str) -> Iterator[Finding]:
    known = {*protocols.names(), *readers.names()}
    if name not in known:
        raise UnknownName("plug-in", name, known, hint="vitbench list")
    if name in readers.names():
        yield from check_reader(name, readers.get(name), data=data)
    if name in protocols.names():
        kind = protocols.get(name)
        chosen = preset_settings(kind, preset)
        yield from check_protocol(kind, data=data or "synthetic", **chosen)
