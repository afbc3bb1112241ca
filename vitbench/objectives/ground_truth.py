"""Ground-truth positives of training crops: COCO's annotations, cropped and flipped with them."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vitbench.data.adjacency import Border, neighbor_mask
from vitbench.data.coco import CocoDataset
from vitbench.data.label_maps import Labels, crop_labels
from vitbench.data.positives import label_map
from vitbench.data.training_loader import CropBatch
from vitbench.errors import DatasetError

KEPT = 4096  # label maps held in memory


class GroundTruth:
    """Says which neighbors of each patch of each crop have the same labels.

    Args:
        dataset: The images' annotations; its ids are those of the training images.
        patch_size: Pixels of a patch.
        wrap: Whether opposite borders of a crop touch.
    """

    def __init__(self, dataset: CocoDataset, *, patch_size: int, wrap: bool) -> None:
        self.fingerprint = dataset.info.fingerprint
        self._places = {name: place for place, name in enumerate(dataset.ids)}
        self._patch = patch_size
        self._border: Border = "wrap" if wrap else "valid"

        @lru_cache(maxsize=KEPT)
        def labels(place: int) -> Labels:
            return label_map(dataset.target(place)).labels("categories")

        self._labels = labels

    def __call__(self, batch: CropBatch) -> tuple[Tensor, ...]:
        """Return, for each crop, the neighbors that are positives: (B, N, 8), on the CPU."""
        maps = [self._labels(self._place(name)) for name in batch.ids]
        found = []
        for number, crop in enumerate(batch.crops):
            side = crop.shape[-1]
            whole = side - side % self._patch  # what the patch embedding sees
            masks = []
            for row, labels in enumerate(maps):
                top, left, height, width = map(int, batch.boxes[row, number])
                part = crop_labels(
                    labels, (top, left, height, width), side, flip=bool(batch.flips[row, number])
                )
                seen = part[:whole, :whole]
                masks.append(neighbor_mask(seen, self._patch, border=self._border))
            found.append(torch.from_numpy(np.stack(masks)))
        return tuple(found)

    def _place(self, name: str) -> int:
        if name not in self._places:
            raise DatasetError(
                f"the training image {name!r} has no entry in the annotations.",
                expected="COCO's layout: train2017/ and annotations/instances_train2017.json",
                hint="--patch.positives topk needs no annotations",
            )
        return self._places[name]
