"""Where anything at all may be caught: in the one door for files, and around code of others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EVERYTHING = re.compile(r"except (Exception|BaseException)( as |:)|except:")
DOOR = "vitbench/outside_files.py"
AROUND_CODE_OF_OTHERS = {
    "vitbench/data/named_sets.py",  # torchvision's own downloads
    "vitbench/data/parallel.py",  # raised again
    "vitbench/engine/run.py",  # raised again
    "vitbench/models/code_names.py",
    "vitbench/models/wrapped.py",
    "vitbench/registry.py",
    "vitbench/studies/worker.py",  # a fault costs its cell alone
    "vitbench/testing/backbones.py",
    "vitbench/testing/conformance.py",
    "vitbench/testing/finding.py",
    "vitbench/testing/reader_checks.py",
    "vitbench/training/run_lock.py",  # raised again
}


def test_any_exception_is_caught_in_one_door_and_around_code_of_others() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("vitbench", "protocols")
        for path in (ROOT / folder).rglob("*.py")
        if EVERYTHING.search(path.read_text())
    }
    assert found == {DOOR, *AROUND_CODE_OF_OTHERS}
