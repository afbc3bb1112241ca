import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from vitbench.cli.main import main
from vitbench.folder_lock import lock_file
from vitbench.records import atomic, sweep, sweep_folders


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with atomic(tmp_path / "x") as path:
        path.write_text("new")
        assert not (tmp_path / "x").exists()
    with suppress(KeyboardInterrupt), atomic(tmp_path / "x") as path:
        path.write_text("half")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x", "new")]


def test_what_a_killed_run_left_is_swept_and_what_is_being_written_stays(tmp_path: Path) -> None:
    left = tmp_path / ".record.json.abc.part"
    left.write_text("half")
    (tmp_path / "data.part").touch()  # nobody's temporary file
    with atomic(tmp_path / "y") as living:
        for path in (left, living):
            age(path, 60)
        sweep(tmp_path)
        assert names(tmp_path) == sorted(["data.part", living.name])
    assert names(tmp_path) == ["data.part", "y"]


def test_what_was_made_a_moment_ago_may_be_locked_a_moment_later(tmp_path: Path) -> None:
    with (tmp_path / ".x.part").open("w") as stream:
        (tmp_path / ".y.part").touch()
        maker = threading.Timer(0.1, lock_file, [stream], {"wait": False})
        maker.start()
        sweep(tmp_path)
        maker.join()
        assert names(tmp_path) == [".x.part"]


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    (tmp_path / ".link.part").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / ".pipe.part")
    for path in tmp_path.iterdir():
        age(path, 60)
    sweep(tmp_path)
    assert len(names(tmp_path)) == 3


def test_folders_that_were_left_half_made_go_after_their_time(tmp_path: Path) -> None:
    (tmp_path / ".building-a").mkdir()
    sweep_folders(tmp_path, ".building-*", age=60)
    assert names(tmp_path)
    age(tmp_path / ".building-a", 61)
    sweep_folders(tmp_path, ".building-*", age=60)
    assert not names(tmp_path)


def test_a_report_that_was_killed_leaves_nothing_beside_the_next(tmp_path: Path) -> None:
    left, other = tmp_path / ".x.html.abc.part", tmp_path / ".y.html.abc.part"
    for path in (left, other):
        path.touch()
        age(path, 60)
    words = ["report", "--compare", "dino", "--format", "html", "--out", str(tmp_path / "x.html")]
    assert main(words) == 0
    assert names(tmp_path) == [other.name, "x.html"]
