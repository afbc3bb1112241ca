import ast
import doctest
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import vitbench
from vitbench import api, kit

HEAVY = ("torch", "timm", "matplotlib", "faiss", "cv2", "sklearn")


@pytest.mark.parametrize("module", [vitbench, api, kit])
def test_every_public_name_can_be_imported(module: Any) -> None:
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("module", [vitbench, api, kit])
def test_type_checkers_see_the_names_that_exist(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == {(module, name) for name, module in module._HOME.items()} | {
        ("vitbench", name) for name in getattr(module, "_MODULES", ())
    }


def test_nothing_is_offered_twice() -> None:
    assert not set(api.__all__) & set(kit.__all__)
    assert len(api.__all__) <= 55


ALLOWED = {"vitbench", "vitbench.api", "vitbench.kit", "vitbench.errors"}


def test_plug_ins_may_import_no_other_room() -> None:
    root = Path(api.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    protected = next(each for each in contracts if each["type"] == "protected")
    rooms = {
        f"vitbench.{path.stem}"
        for path in root.iterdir()
        if path.name[0] != "_" and path.suffix in ("", ".py")
    }
    assert set(protected["protected_modules"]) == rooms - ALLOWED


def _modules_with_examples() -> list[str]:
    root = Path(vitbench.__file__).parent
    return sorted(
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in root.rglob("*.py")
        if "\n>>> " in (text := path.read_text()) or " >>> " in text
    )


@pytest.mark.parametrize("name", _modules_with_examples())
def test_the_examples_of_a_docstring_are_true(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # their records go to results/
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted >= 1
    assert found.failed == 0


def test_the_public_interface_has_examples() -> None:
    assert {"vitbench", api.__name__, kit.__name__} <= {*_modules_with_examples()}


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
