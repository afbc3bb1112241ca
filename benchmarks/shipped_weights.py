"""Write the backbone of a training run as it is shipped: bfloat16, half the size, and a manifest.

    python benchmarks/shipped_weights.py RUN NAME [--folder checkpoints/vitbench_checkpoints]

The two files of the study `evidence` come from here; bfloat16 keeps 8 bits of a weight's 24.
"""

import argparse
import json
from pathlib import Path

from vitbench.download import file_sha256
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone

FOLDER = Path(__file__).parents[1] / "checkpoints" / "vitbench_checkpoints"


def main() -> None:
    """Write both files and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("name")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    checkpoint = resolve(given.run)
    backbone = load_backbone(checkpoint)
    weights = given.folder / f"{given.name}.safetensors"
    save_backbone(backbone.bfloat16(), weights, method=checkpoint.method)
    facts = {
        "name": given.name,
        "method": checkpoint.method,
        "arch": backbone.info.arch,
        "heads": backbone.info.heads,
        "license": "MIT",
        "source": "vitbench, study `evidence`",
        "file": weights.name,
        "file_sha256": file_sha256(weights),
        "note": "learned from the training images of Imagenette in minutes of a CPU",
    }
    manifest = given.folder / f"{given.name}.toml"
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in facts.items())
    manifest.write_text("".join(lines))
    print(weights, manifest, sep="\n")


if __name__ == "__main__":
    main()
