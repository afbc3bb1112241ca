"""A student that learns, and a teacher whose weights are the exponential moving average of its."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import nn

from vitbench.models.backbone import Backbone
from vitbench.training.sharding import own_part


class Network(nn.Module):
    """A backbone and, by the name of its term, the head of each objective."""

    def __init__(self, backbone: Backbone, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(heads)


class StudentTeacher(nn.Module):
    """A student and its teacher, equal at the start.

    Both stay in training mode: a BatchNorm in a head uses the batch on either side, and the
    teacher's running statistics are its own.

    Args:
        student: The network that learns. Drop path, if any, is to be put in after this.
        has_teacher: Whether there is a teacher at all.
    """

    def __init__(self, student: Network, *, has_teacher: bool = True) -> None:
        super().__init__()
        self.student = student
        self.teacher = deepcopy(student).requires_grad_(False) if has_teacher else None

    @property
    def target(self) -> Network:
        """The network that gives targets and is scored: the teacher, or else the student."""
        return self.student if self.teacher is None else self.teacher

    @property
    def networks(self) -> tuple[Network, ...]:
        """The student, and the teacher where there is one."""
        return (self.student,) if self.teacher is None else (self.student, self.teacher)

    @torch.no_grad()
    def update_teacher(self, momentum: float) -> None:
        """Move the teacher's parameters towards the student's: m * teacher + (1 - m) * student.

        Source:
            Caron et al., DINO, ICCV 2021, section 3.1; facebookresearch/dino, main_dino.py,
            train_one_epoch (7c446df). Buffers are not averaged.
        """
        teacher, student = (
            [own_part(each) for each in network.parameters()]
            for network in (self.target, self.student)
        )
        torch._foreach_lerp_(teacher, student, 1 - momentum)
