"""Draw what trainings told on their way, side by side: 20-NN, entropy of the targets, KL.

    python benchmarks/evidence_curves.py --out FILE.png TITLE=RUN[,RUN…] …

A title is a line of panels; its runs are lines in them, by the names of their recipes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from vitbench.models.run_folder import RUN_DOCUMENT, RUN_JOURNAL

PANELS = {"20-NN of 2,000 images, %": "top1_k20", "entropy of the targets": "entropy", "KL": "kl"}
STYLES = {"dino": "-", "patch": ":", "top1_k20": "-"}  # of a term


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("rows", nargs="+")
    given = parser.parse_args()
    size = (11, 2.6 * len(given.rows))
    _, axes = plt.subplots(len(given.rows), len(PANELS), figsize=size, squeeze=False)
    for row, text in zip(axes, given.rows, strict=True):
        title, _, runs = text.partition("=")
        row[0].set_ylabel(title)
        for number, run in enumerate(map(Path, runs.split(","))):
            for axis, (about, ending) in zip(row, PANELS.items(), strict=True):
                axis.set_title(about, fontsize=9)
                draw(axis, run, ending, f"C{number}")
        for axis in row[:2]:
            axis.legend(fontsize=7)
        row[0].set_xlabel("epoch")
    plt.tight_layout()
    plt.savefig(given.out, dpi=110)


def draw(axis: Any, run: Path, ending: str, color: str) -> None:
    """Draw the curves of one run whose names end so; dotted ones are of the patch term."""
    recipe = json.loads((run / RUN_DOCUMENT).read_text())["recipe"]
    told = [json.loads(line) for line in (run / RUN_JOURNAL).read_text().splitlines()]
    names = dict.fromkeys(name for line in told for name in line if name.endswith(ending))
    for name in names:
        points = [(line["step"] / line["of"], line[name]) for line in told if name in line]
        epochs = [share * recipe["epochs"] for share, _ in points]
        term = name.removesuffix(f"_{ending}")
        label = recipe["name"] if term in {"dino", name} else f"{recipe['name']}: {term}"
        values = [value for _, value in points]
        axis.plot(epochs, values, STYLES.get(term, "--"), color=color, label=label)


if __name__ == "__main__":
    main()
