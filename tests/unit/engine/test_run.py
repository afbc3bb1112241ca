from pathlib import Path

from vitbench import api
from vitbench.models.export import save_backbone
from vitbench.models.timm_backbone import build_backbone
from vitbench_protocols.knn import Knn


def test_the_journal_of_a_training_is_kept_beside_the_record_of_its_checkpoint(
    tmp_path: Path, folders: Path
) -> None:
    backbone = build_backbone("vit_mini_patch8_64", seed=0)
    save_backbone(backbone, tmp_path / "run" / "backbone.safetensors", method="dino")
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    options = api.RunOptions(data=str(folders), results=tmp_path / "results", device="cpu")
    found = api.evaluate(
        Knn(resize=32, crop=32, engine="torch"), api.resolve(str(tmp_path / "run")), options
    )
    copy = found.path.parent / found.record.artifacts["training"]
    assert copy.read_text() == '{"step": 1, "loss": 2.0}\n'
