"""The 20-NN score of a few images, for trainings."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.data.kinds import ClassificationDataset
from vitbench.data.loader import load_batches
from vitbench.data.transforms import ImageView, Normalization
from vitbench.models.backbone import Backbone
from vitbench.neighbors import search, vote

K = 20
TEMPERATURE = 0.07
BATCH = 64


@dataclass(frozen=True, slots=True)
class OnlineKnn:
    """Two labeled splits and how they are looked at.

    Source:
        The protocol `knn`, in small: facebookresearch/dino, eval_knn.py (7c446df).
    """

    bank: ClassificationDataset
    queries: ClassificationDataset
    workers: int = 2
    view: ImageView | None = None  # left out: the backbone's native size, a margin cut off

    def top1(self, backbone: Backbone) -> float:
        """Return the share of queries whose class 20 neighbors vote for, percent."""
        bank, labels = self.vectors(backbone, self.bank)
        queries, truth = self.vectors(backbone, self.queries)
        return self.vote(bank, labels, queries, truth)

    @staticmethod
    def vote(bank: Tensor, labels: Tensor, queries: Tensor, truth: Tensor) -> float:
        """Return top-1 accuracy in percent, from L2-normalized features and classes."""
        k = min(K, len(bank))
        classes = int(torch.cat([labels, truth]).max()) + 1
        found = search(bank, queries, k, engine="torch")
        ranked = vote(found, labels, classes=classes, k=k, temperature=TEMPERATURE)
        return 100 * (ranked[:, 0] == truth).double().mean().item()

    @torch.no_grad()
    def vectors(self, backbone: Backbone, dataset: ClassificationDataset) -> tuple[Tensor, Tensor]:
        """Return the normalized image-level features of a split (M, D) and its labels (M,)."""
        size = backbone.info.image_size[0]
        view = self.view or ImageView(resize=round(size * 256 / 224), crop=size)
        where = next(backbone.parameters())
        normalize = Normalization(backbone.info.mean, backbone.info.std)
        order = range(len(dataset))
        batches = [order[first : first + BATCH] for first in order[::BATCH]]
        vectors = []
        for _, pixels in load_batches(dataset, batches, view, workers=self.workers):
            images = normalize(pixels.to(where.device)).to(where.dtype)
            (features,) = backbone(images)
            vectors.append(functional.normalize(features.pooled.float(), dim=-1))
        return torch.cat(vectors), torch.tensor(dataset.targets)
