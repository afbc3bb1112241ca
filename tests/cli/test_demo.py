"""The first command of a newcomer."""

from pathlib import Path

from tests.cli.conftest import Command


def test_the_quick_demo_ends_with_a_page_and_a_picture(vitbench: Command, tmp_path: Path) -> None:
    done = vitbench("demo", "--quick")
    assert done.returncode == 0, done.stderr
    typed = [line for line in done.stdout.splitlines() if line.startswith("$ vitbench ")]
    assert len(typed) == 3
    assert "claim: SelfPatch, real images above random on davis holds" in done.stdout
    page = (tmp_path / "results/demo/report.html").read_text()
    assert "feature-pca" in page
    (picture,) = (tmp_path / "results/demo/records").glob("feature-pca/DINO*/000-pca.png")
    assert str(picture.relative_to(tmp_path)) in done.stdout
