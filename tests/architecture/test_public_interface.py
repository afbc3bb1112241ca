import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from vitbench import api

HEAVY = ("torch", "timm", "matplotlib", "faiss", "cv2", "sklearn")


def test_every_public_name_can_be_imported() -> None:
    for name in api.__all__:
        assert getattr(api, name) is not None


def test_type_checkers_see_the_names_that_exist() -> None:
    tree = ast.parse(Path(api.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == {(module, name) for name, module in api._HOME.items()} | {
        ("vitbench", name) for name in api._MODULES
    }


def test_the_example_of_the_public_interface_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # its record goes to results/
    found = doctest.testmod(api)
    assert found.attempted >= 6
    assert found.failed == 0


@pytest.mark.parametrize("command", [["--help"], ["list"], ["report", "--results", "nowhere"]])
def test_commands_that_only_read_import_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys; from vitbench.cli.main import main\n"
        f"main({command!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
