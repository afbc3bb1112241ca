"""Two processes score as one: every protocol that trains no backbone, in one start of the two."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitbench.api import Evaluation, EvaluationProtocol, RunOptions, evaluate, read_items, resolve
from vitbench.kit import distributed
from vitbench_protocols.correspondence import Correspondence
from vitbench_protocols.discovery import Discovery
from vitbench_protocols.health import Health
from vitbench_protocols.knn import Knn
from vitbench_protocols.layers import Layers
from vitbench_protocols.logistic import Logistic
from vitbench_protocols.retrieval import Retrieval
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import Hummingbird, Squared

FEW_C = (0.01, 1.0, 100.0)


def protocols(folders: Path) -> dict[str, tuple[EvaluationProtocol, str]]:
    """Return a short run of each protocol, and the data that it reads."""
    crop: dict[str, Any] = {"resize": 32, "crop": 32}
    return {
        "logistic": (
            Logistic(shots=6, draws=2, held_out=0.3, c_values=FEW_C, **crop),
            str(folders),
        ),
        "correspondence": (Correspondence(size=64), "synthetic"),
        "discovery": (Discovery(split="val", method="tokencut"), "synthetic"),
        "knn": (Knn(queries=str(folders), **crop), str(folders)),
        "layers": (Layers(of="correspondence", of_preset="small"), "synthetic"),
        "health": (Health(images=40, view_images=4, views=3, **crop), "synthetic"),
        "retrieval": (Retrieval(size=48), "synthetic"),
        "segmentation": (
            Segmentation(method=Hummingbird(k=5, memory=800), inference=Squared(size=64)),
            "synthetic",
        ),
    }


def run(name: str, folders: Path, results: Path) -> Evaluation:
    protocol, data = protocols(folders)[name]
    options = RunOptions(data=data, results=results, limit=48)
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def one_of_two(rank: int, folders: str, results: str, cache: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29741",
        "VITBENCH_CACHE": cache,
    }
    torch.set_num_threads(1)
    with distributed.process_group():
        for name in protocols(Path(folders)):
            run(name, Path(folders), Path(results))


def test_two_processes_score_as_one(folders: Path, tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    arguments = (str(folders), str(tmp_path / "two"), str(tmp_path / "cache"))
    both = [context.Process(target=one_of_two, args=(rank, *arguments)) for rank in range(2)]
    for process in both:
        process.start()
    alone = {name: run(name, folders, tmp_path / "one") for name in protocols(folders)}
    for process in both:
        process.join(240)
        assert process.exitcode == 0
    for name, single in alone.items():
        shared = run(name, folders, tmp_path / "two")
        assert not shared.ran  # the record of the two processes
        assert shared.record.environment.processes == 2
        assert shared.record.scores == single.record.scores, name
        found = read_items(shared.record, tmp_path / "two")
        for key, expected in read_items(single.record, tmp_path / "one").items():
            np.testing.assert_array_equal(found[key], expected)
