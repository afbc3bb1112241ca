import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "vitbench:tested"

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def image() -> str:
    subprocess.run(["docker", "build", "--quiet", "--tag", IMAGE, str(ROOT)], check=True)
    return IMAGE


def _said(image: str, words: Sequence[str], *flags: str) -> str:
    """Return what a container prints that has no network."""
    command = ["docker", "run", "--rm", "--network", "none", *flags, image, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_container_runs_the_demo_without_a_network(image: str) -> None:
    assert "report" in _said(image, ["demo", "--quick"])


def test_nothing_in_the_container_runs_as_root(image: str) -> None:
    assert _said(image, ["-u"], "--entrypoint", "id").strip() == "1000"
