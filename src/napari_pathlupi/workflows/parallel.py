"""Several processes that train one model, each on its part of every step, as ``torchrun`` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn


def rank() -> int:
    """Return which of the processes this is; 0, the one that writes and tells, where there is but one."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return dist.get_rank() if _together() else int(os.environ.get("RANK", "0")) * several


def processes() -> int:
    """Return how many there are."""
    return dist.get_world_size() if _together() else 1


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the other processes where ``torchrun`` started several; NCCL between CUDA devices, gloo elsewhere."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or _together():
        yield
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def wait() -> None:
    """Return when all processes have come here."""
    if processes() > 1:
        dist.barrier()


def sum_gradients(model: nn.Module) -> None:
    """Replace every gradient by its sum over the processes, in one message."""
    if processes() < 2:
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:  # this part of the step had nothing to teach it
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def summed(value: Tensor) -> Tensor:
    """Return the sum over the processes."""
    if processes() > 1:
        dist.all_reduce(value)
    return value


def agreed(value: float, device: str) -> float:
    """Return what the first process says, so that all take the same turn."""
    if processes() < 2:
        return value
    said = torch.tensor(value, dtype=torch.float32 if device == "mps" else torch.float64, device=device)
    dist.broadcast(said, 0)
    return float(said)
