"""Slides in a process that is forked, as the workers of a PyTorch data loader are."""

import os
import threading
from collections.abc import Callable


def hold_while_forking(lock: threading.Lock) -> None:
    """Hold a lock of the whole process during every fork: a child would wait for ever for one that was held then."""
    if hasattr(os, "register_at_fork"):  # Windows forks nothing
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def forget_in_a_child(forget: Callable[[], None]) -> None:
    """Do something in every child that this process forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
