"""What models say together that were each fitted on training cases of their own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._task import Task

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def together(
    task: Task, members: Sequence[Any], folds: "Float[Tensor, 'folds outputs']"
) -> "tuple[Float[Tensor, ' outputs'], Float[Tensor, 'folds outputs']]":
    """Return the mean of the folds' outputs, and those of each, in the numbers of a joined task.

    Raises
    ------
    MismatchError
        When not as many models answer as were joined.
    """
    if len(folds) != len(members):
        raise MismatchError(f"{len(folds)} models answer a task that {len(members)} were fitted to: copy it again.")
    said = torch.cat([task.of_member(one[None], i) for i, one in enumerate(folds)])
    return said.mean(dim=0), said
