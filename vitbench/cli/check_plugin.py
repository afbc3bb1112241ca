"""`vitbench check-plugin NAME`: does a protocol keep the contract? For authors of plug-ins."""

from vitbench.cli.flags import taken
from vitbench.engine.presets import preset_settings
from vitbench.engine.protocol import protocols


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    preset, names = taken(arguments, "--preset")
    if len(names) != 1 or names[0] in {"-h", "--help"}:
        print("usage: vitbench check-plugin PROTOCOL [--preset NAME]")
        return 0 if names else 2
    from vitbench.testing.conformance import check_protocol  # imports torch

    failed = 0
    kind = protocols.get(names[0])
    for finding in check_protocol(kind, **preset_settings(kind, preset)):
        print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
        if not finding.passed:
            failed += 1
            print(f"      {finding.problem}")
    return 2 if failed else 0
