from pathlib import Path

import pytest

from vitbench.engine.training_progress import steps_trained


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('{"step": 1, "of": 9}\n{"step": 4, "of": 9}\n', (4, 9)),
        ('{"step": 4, "of": 9}\n{"step": 5, "o', (4, 9)),
        ('{"step": 4, "of": 9}\n{"step": 5}\n[]\n3\n', (4, 9)),
        ('{"step": "4", "of": 9}', None),
        ("", None),
        ("\xff\xfe", None),
        ("[" * 50_000, None),
    ],
)
def test_the_last_whole_line_tells(text: str, steps: object, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(text.encode("latin-1"))
    assert steps_trained(tmp_path / "metrics.jsonl") == steps


def test_only_the_end_of_a_long_journal_is_read(tmp_path: Path) -> None:
    lines = [f'{{"step": {step}, "of": 9000, "loss": 1.0}}\n' for step in range(1, 9001)]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    assert steps_trained(tmp_path / "metrics.jsonl") == (9000, 9000)


def test_no_journal_tells_nothing(tmp_path: Path) -> None:
    assert steps_trained(tmp_path / "metrics.jsonl") is None
