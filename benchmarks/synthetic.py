"""Is the built-in data worth learning from? A small trained network against what knows nothing.

    python benchmarks/synthetic.py [--checkpoint PATH] [--steps 800]

Trains the small supervised network (or takes a checkpoint), and scores it, three random networks of
the same shape and raw pixels. "Above" means above the best of the three.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch.nn.functional import normalize

from vitbench.api import (
    RunOptions,
    evaluate,
    from_preset,
    open_dataset,
    resolve,
)
from vitbench.engine.protocol import EvaluationProtocol
from vitbench.kit import search, to_pixels, vote
from vitbench.testing.supervised import ARCH, STEPS, train_supervised
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.davis import Davis
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe

SEEDS = (0, 1, 2)
PROTOCOLS: tuple[tuple[EvaluationProtocol, str], ...] = (
    (Knn(resize=64, crop=64), "top1_k20"),
    (from_preset(LinearProbe, "sweep", resize=64, crop=64), "top1"),
    (Davis(resolution=128), "jf_mean"),
    (Adjacency(image_px=64, patch_px=8), "ap"),
)


def raw_pixels() -> float:
    """Return the 20-NN accuracy of the pixels themselves, in percent."""
    pixels, labels = [], []
    for split in ("train", "val"):
        dataset = open_dataset("synthetic", "classification", split)
        samples = [dataset[index] for index in range(len(dataset))]
        images = torch.stack([to_pixels(sample.image) for sample in samples])
        pixels.append(normalize(images.flatten(1).float(), dim=1))
        labels.append(torch.tensor([sample.target for sample in samples]))
    found = search(pixels[0], pixels[1], 20, engine="torch")
    ranked = vote(found, labels[0], classes=10, k=20, temperature=0.07)
    return 100 * (ranked[:, 0] == labels[1]).double().mean().item()


def score(protocol: EvaluationProtocol, spec: str, metric: str, results: Path) -> float:
    """Return one score of one checkpoint."""
    record = evaluate(protocol, resolve(spec), RunOptions(data="synthetic", results=results)).record
    value = next(score.value for score in record.scores if score.metric == metric)
    return float("nan") if value is None else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--steps", type=int, default=STEPS)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trained = flags.checkpoint or str(Path(folder) / "supervised.safetensors")
        if not flags.checkpoint:
            start = time.perf_counter()
            train_supervised(Path(trained), steps=flags.steps)
            print(f"trained {flags.steps} steps in {time.perf_counter() - start:.0f} s")
        print(f"raw pixels    top1_k20  {raw_pixels():6.1f}")
        for protocol, metric in PROTOCOLS:
            results = Path(folder) / "results"
            randoms = [
                score(protocol, f"random:{ARCH}?seed={seed}", metric, results) for seed in SEEDS
            ]
            found = score(protocol, trained, metric, results)
            shown = ", ".join(f"{value:.1f}" for value in randoms)
            print(
                f"{protocol.name:13} {metric:9} {found:6.1f}   random {shown}"
                f"   {found - max(randoms):+.1f} above",
                flush=True,
            )


if __name__ == "__main__":
    main()
