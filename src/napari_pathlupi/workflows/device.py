"""Which device runs the networks, and why not a faster one."""

from dataclasses import dataclass

from napari_pathlupi.errors import InferenceError, NotFoundError

DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True)
class Device:
    """Where the networks run.

    Parameters
    ----------
    name
        torch's name: "cuda", "mps" or "cpu".
    words
        For the panel: which, and why no GPU where there is none.
    batch_size
        Tiles to encode at once unless told otherwise: few on a CPU, so that a window beside it stays smooth.
    """

    name: str
    words: str
    batch_size: int


def choose_device(wish: str = "auto") -> Device:
    """Return the fastest device there is, or the one wished for.

    Raises
    ------
    NotFoundError
        When there is no such kind of device.
    InferenceError
        When the one wished for is not in this machine.
    """
    import torch

    if wish not in DEVICES:
        raise NotFoundError(f"no device is called {wish!r}: known: {', '.join(DEVICES)}.")
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if (wish == "cuda" and not has_cuda) or (wish == "mps" and not has_mps):
        raise InferenceError(f"this machine has no {wish} device that torch {torch.__version__} can use: choose auto.")
    if wish == "cuda" or (wish == "auto" and has_cuda):
        return Device("cuda", f"CUDA ({torch.cuda.get_device_name()})", 128)
    if wish == "mps" or (wish == "auto" and has_mps):
        return Device("mps", "Apple GPU", 32)
    if wish == "cpu":
        return Device("cpu", "CPU", 8)
    why = "torch was installed without CUDA" if torch.version.cuda is None else "no CUDA device was found"
    return Device("cpu", f"CPU ({why})", 8)


def free_a_core() -> None:
    """Let torch leave half of the cores to the window and the readers; a lower limit that was set stays."""
    import os

    import torch

    torch.set_num_threads(min(torch.get_num_threads(), max(1, (os.cpu_count() or 2) // 2)))
