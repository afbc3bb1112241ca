"""`vitbench check-plugin NAME`: does a protocol keep the contract? For authors of plug-ins."""

from vitbench.engine.protocol import protocols
from vitbench.testing.conformance import check_protocol


def run(arguments: list[str]) -> int:
    """Print one line a check; exit code 2 if one failed."""
    if len(arguments) != 1 or arguments[0] in {"-h", "--help"}:
        print("usage: vitbench check-plugin PROTOCOL")
        return 0 if arguments else 2
    failed = 0
    for finding in check_protocol(protocols.get(arguments[0])):
        print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.check}", flush=True)
        if not finding.passed:
            failed += 1
            print(f"      {finding.problem}")
    return 2 if failed else 0
