"""The process on the fake device: reads names of cases, a line each, and answers with JSON.

python tests/cuda_path/child.py   (under the environment of `device.environment`)
"""

import gc
import json
import sys
import time
import traceback
import warnings
from dataclasses import asdict
from typing import Any

import torch

from tests.cuda_path.cases import PASSES, Measured
from tests.cuda_path.device import fake_cuda


def main() -> None:
    """Answer until there are no more questions."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of torch about fake tensors
    answers, sys.stdout = sys.stdout, sys.stderr
    with fake_cuda(lines="--lines" in sys.argv) as counts:
        for name in map(str.strip, sys.stdin):
            print(json.dumps(answer(name, counts)), file=answers, flush=True)


def answer(name: str, counts: Any) -> dict[str, Any]:
    """Run a case; say what it measured, or how it failed."""
    gc.collect()  # what the last case left in circles would count as this one's memory
    start = time.process_time()
    try:
        PASSES[name](counts)
    except Exception:
        return {"error": traceback.format_exc()[-40000:]}
    return {
        "measured": asdict(Measured.of(counts)),
        "seconds": round(time.process_time() - start, 2),
        "syncs": dict(counts.syncs),
        "copies": dict(counts.copies),
        "kernels": dict(counts.kernels_of.most_common(60)),
        "gigabytes": round(counts.gigabytes, 1),
    }


if __name__ == "__main__":
    main()
