"""How far an evaluation is, in a log: lines every so often, with images per second."""

from vitbench.cli.reporter import ProgressLines


def test_a_long_task_writes_a_line_soon_then_every_half_minute_and_at_its_end() -> None:
    now, lines = [100.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    for second in range(71):
        now[0] = 100.0 + second
        progress("features of val", 10 * second, 700, "images")
    assert lines == [
        "  features of val  50/700 images, 10 images/s, 1 min 5 s left",
        "  features of val  350/700 images, 10 images/s, 35 s left",
        "  features of val  650/700 images, 10 images/s, 5 s left",
        "  features of val  700/700 images, 10 images/s",
    ]


def test_a_short_task_writes_nothing() -> None:
    lines = list[str]()
    progress = ProgressLines(lines.append, clock=lambda: 0.0)
    for done in range(1, 6):
        progress("frames of a clip", done, 5, "frames")
    assert lines == []


def test_what_was_done_before_is_not_counted_as_fast() -> None:
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    progress("features of train", 900, 1000, "images")
    now[0] = 10.0
    progress("features of train", 920, 1000, "images")
    assert lines == ["  features of train  920/1,000 images, 2 images/s, 40 s left"]
