"""`vitbench demo`: a study of built-in data from training to page, in minutes.

Every step is a command that a user could type; it is printed before it runs.
"""

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.cli.main import main
from vitbench.settings import setting

ABOUT = """\
Train DINO and SelfPatch on built-in images, score them beside random weights with five protocols,
one of them detection, and write an HTML report: about 3 minutes on 2 CPU cores; with --quick a
short training, two networks that come with vitbench, and three protocols in about one. Each step
is an ordinary command, printed before it runs. `vitbench study demo plan` lists what is scored; the
trainings are kept in runs/."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the demo writes, and how much it does."""

    out: Path = setting(
        Path("results/demo"), help="folder that records and the HTML page are written to"
    )
    quick: bool = setting(False, help="a minute: one short training, three protocols")


def run(arguments: list[str]) -> int:
    """Run every step, then name the files that were written."""
    (options,) = parse({"flags": Options}, arguments, prog="vitbench demo", description=ABOUT)
    start = time.perf_counter()
    for words in steps(options.out, ["--scale", "small"] if options.quick else []):
        print(f"\n$ vitbench {shlex.join(words)}", flush=True)
        code = main(words)
        if code:
            return code
    pictures = sorted((options.out / "records").glob("feature-pca/DINO*/000-pca.png"))
    print(f"\n{time.perf_counter() - start:.0f} s. Look at:")
    for path in (options.out / "report.html", *pictures, options.out / "records"):
        print(f"  {path}")
    return 0


def steps(out: Path, scale: list[str]) -> list[list[str]]:
    """Return the demo's commands."""
    records = ["--results", str(out / "records")]
    return [
        ["study", "demo", "run", *scale, "--jobs", "2", *records],
        ["study", "demo", "show", *scale, *records],
        ["report", *records, "--format", "html", "--out", str(out / "report.html")],
    ]
