"""`vitbench demo`: train, evaluate and report on built-in data, in minutes.

Every step is a command that a user could type; it is printed before it runs.
"""

import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.flags import parse
from vitbench.cli.main import main
from vitbench.settings import setting

VIEW = ("--resize", "64", "--crop", "64")
PATCHES = ("--image-px", "128", "--patch-px", "16")

FEW = ("--limit", "train=400", "val=200")

ABOUT = """\
Train DINO and SelfPatch on built-in images, score them beside random weights, and write an HTML
report: about 4 minutes on 2 CPU cores; with --quick a short training and two scores in less than
one. Each step is an ordinary command, printed before it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where the demo writes, and how much it does."""

    out: Path = setting(
        Path("results/demo"), help="folder that runs, records and the HTML page are written to"
    )
    quick: bool = setting(False, help="less than a minute: one short training, two protocols")


def run(arguments: list[str]) -> int:
    """Run every step, then name the files that were written."""
    (options,) = parse({"flags": Options}, arguments, prog="vitbench demo", description=ABOUT)
    start = time.perf_counter()
    for words in quick_steps(options.out) if options.quick else steps(options.out):
        print(f"\n$ vitbench {shlex.join(words)}", flush=True)
        code = main(words)
        if code:
            return code
    pictures = sorted((options.out / "records").glob("feature-pca/dino-short*/000-pca.png"))
    print(f"\n{time.perf_counter() - start:.0f} s. Look at:")
    for path in (options.out / "report.html", *pictures, options.out / "records"):
        print(f"  {path}")
    return 0


def quick_steps(out: Path) -> list[list[str]]:
    """Return the commands of the short demo: a training too short to be good, and its floor."""
    records = ["--results", str(out / "records")]
    run, floor = str(out / "runs" / "dino-short"), "random:vit_mini_patch16_64?seed=0"
    data = ["--data", "synthetic", *records]
    return [
        [
            "train",
            "dino",
            "--preset",
            "small",
            "--data",
            "synthetic",
            "--steps",
            "40",
            "--out",
            run,
        ],
        ["eval", "knn", run, floor, *VIEW, *FEW, *data],
        ["eval", "feature-pca", run, floor, "--images", "4", *VIEW, *data],
        ["report", *records],
        ["report", *records, "--format", "html", "--out", str(out / "report.html")],
    ]


def steps(out: Path) -> list[list[str]]:
    """Return the demo's commands."""
    records = ["--results", str(out / "records")]
    measured = ["--data", "synthetic", *records]
    runs = [str(out / "runs" / name) for name in ("dino", "selfpatch")]
    floors = [f"random:vit_mini_patch16_64?seed={seed}" for seed in range(3)]
    backbones = [*runs, floors[0]]
    small = ["--preset", "small", "--data", "synthetic"]
    trainings = [["train", Path(run).name, *small, "--out", run] for run in runs]
    evaluations = [
        ["eval", "knn", *runs, *floors, *VIEW, *measured],
        ["eval", "linear-probe", *backbones, "--preset", "sweep", *VIEW, *measured],
        ["eval", "davis", *backbones, *measured],
        ["eval", "adjacency", *PATCHES, *measured],
        ["eval", "adjacency", *backbones, *PATCHES, *measured],
    ]
    page = ["--format", "html", "--out", str(out / "report.html")]
    return [*trainings, *evaluations, ["report", *records], ["report", *records, *page]]
