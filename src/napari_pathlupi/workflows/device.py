"""Which device runs the networks, and why not a faster one."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from napari_pathlupi.errors import InferenceError, NotFoundError

DEVICES = ("auto", "cuda", "mps", "cpu")
MOST_ENCODERS, MOST_READERS = 4, 12
"""Threads that run a network on a CPU, and that read for a GPU, at most (our choice)."""


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
    encoders
        Threads that run the network: on a CPU each has its own cores, which is faster than all cores on one batch; on
        a GPU the second prepares its batch while the first computes.
    readers
        Threads that read tiles unless told otherwise.
    """

    name: str
    words: str
    batch_size: int
    encoders: int = 1
    readers: int = 2

    @contextlib.contextmanager
    def shared_cores(self) -> Iterator[None]:
        """Give each encoder thread its share of the cores, where the network runs on them."""
        import torch

        if self.name != "cpu":
            yield
            return
        torch.set_num_threads(max(1, _cores() // self.encoders))
        try:
            yield
        finally:
            torch.set_num_threads(_cores())


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
    readers = min(MOST_READERS, max(2, _cores() - 2))
    if wish == "cuda" or (wish == "auto" and has_cuda):
        return Device("cuda", f"CUDA ({torch.cuda.get_device_name()})", 128, 2, readers)
    if wish == "mps" or (wish == "auto" and has_mps):
        return Device("mps", "Apple GPU", 32, 1, readers)
    cpu = "CPU"
    if wish == "auto":
        cpu += " (torch was installed without CUDA)" if torch.version.cuda is None else " (no CUDA device was found)"
    return Device("cpu", cpu, 8, min(MOST_ENCODERS, _cores()), max(2, _cores() // 2))


_beside_a_window = False


def device_named(wish: str) -> str:
    """Return torch's name of a device that is there: of "auto" the fastest, "cuda:1" as it is; errors as above."""
    kind = wish.partition(":")[0]
    found = choose_device(kind).name
    return wish if found == kind else found


def free_a_core() -> None:
    """Let torch leave half of the cores to the window and the readers, as long as this process lives."""
    global _beside_a_window
    import torch

    _beside_a_window = True
    torch.set_num_threads(_cores())


def _cores() -> int:
    """Cores that torch may use: a lower limit that was set before stays."""
    return max(1, _usual_cores() // 2) if _beside_a_window else _usual_cores()


@cache
def _usual_cores() -> int:
    import torch

    return torch.get_num_threads()
