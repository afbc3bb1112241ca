"""What the sanity check of new weights costs: CPU seconds in each precision.

python benchmarks/sanity_check.py [--arch NAME]
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from typing import get_args

from benchmarks.stopwatch import conditions, one_core
from benchmarks.verdict import told
from vitbench.engine.options import Precision
from vitbench.engine.sanity_check import inspect
from vitbench.models.checkpoint import load_backbone, resolve

GOAL = 5.0  # seconds, of a ViT-Ti


def main() -> int:
    """Print a line for each precision; 1 where one takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="vit_tiny_patch16_224")
    given = parser.parse_args()
    print(conditions())
    checkpoint = replace(resolve(f"random:{given.arch}"), method="")  # weights to be checked
    backbone, met = load_backbone(checkpoint), []
    for precision in get_args(Precision):
        with tempfile.TemporaryDirectory() as cache, one_core():
            os.environ["VITBENCH_CACHE"] = cache
            start = time.process_time()
            inspect(checkpoint, backbone, precision=precision)
            taken = time.process_time() - start
        met.append(told(f"load gate of {given.arch}, {precision}", taken, GOAL))
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
