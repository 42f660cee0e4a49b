"""Distillation: the embedding must tell what a teacher makes of the transcriptome."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.molecular.objectives._objective import Objective, TaskLoss, measured

RIDGE = 0.01
"""Weight of the teacher's squared coefficients beside the loss of the task: a few dozen standardised targets and a
hundred cases need about so much (our choice)."""


class Distillation(Objective):
    """Squared error between a linear student of the embedding and a linear teacher of the targets.

    The teacher learns the task from the targets of the training cases that have both, before the training, with the
    loss of the task and a ridge; its outputs are standardised over the cases with expression and stay as they are.
    Matching outputs before any softmax: Ba and Caruana, "Do deep nets really need to be deep?", NeurIPS 2014. That the
    teacher is linear, and that the student has a layer of its own beside the task's, is our choice. A target that was
    not measured counts as 0, the mean of a standardised one.

    Parameters
    ----------
    width
        Length of the embedding.
    targets
        Number of gene sets.
    outputs
        Number of outputs of the task.
    """

    by_output: ClassVar[bool] = True
    weight: Tensor
    bias: Tensor

    def __init__(self, width: int, targets: int, outputs: int = 2) -> None:
        super().__init__()
        self.student = nn.Linear(width, outputs)
        self.register_buffer("weight", torch.zeros(outputs, targets))
        self.register_buffer("bias", torch.zeros(outputs))

    def prepare(
        self, targets: Float[Tensor, "cases targets"], wanted: Float[Tensor, "cases columns"], task: TaskLoss
    ) -> None:
        has_rna, has_label = targets.isfinite().any(dim=1), wanted.isfinite().any(dim=1)
        taught = has_rna & has_label
        if not taught.any():
            return
        expression = measured(targets, has_rna)[0]
        weight = torch.zeros_like(self.weight).requires_grad_()
        bias = torch.zeros_like(self.bias).requires_grad_()
        optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = task(expression[taught] @ weight.mT + bias, wanted[taught]) + RIDGE * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            said = expression[has_rna] @ weight.mT + bias
            spread = said.std(dim=0, unbiased=False).clamp(min=1e-6)
            self.weight.copy_(weight / spread[:, None])
            self.bias.copy_((bias - said.mean(dim=0)) / spread)

    def forward(
        self,
        embedding: Float[Tensor, "slides *tokens width"],
        targets: Float[Tensor, "slides targets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        taught = measured(targets, known)[0] @ self.weight.mT + self.bias
        error: Tensor = (self.student(embedding) - taught).square().mean(dim=1)
        return error.where(known, 0).sum() / known.sum().clamp(min=1)

    def activity(self, embedding: Float[Tensor, "slides *tokens width"]) -> None:
        return None


OBJECTIVE = Distillation
