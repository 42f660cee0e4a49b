"""Connections that end with the panel: napari's events would go on calling a widget that is gone."""

from collections.abc import Callable
from typing import Any


class Ties:
    """Connections to cut together."""

    def __init__(self) -> None:
        self._cuts: list[Callable[[], object]] = []

    def connect(self, emitter: Any, call: Callable[..., object]) -> None:
        """Connect an event of napari or a signal of psygnal."""
        emitter.connect(call)
        self._cuts.append(lambda: emitter.disconnect(call))

    def add_to(self, callbacks: list[Any], call: Callable[..., object]) -> None:
        """Add to one of napari's lists of callbacks."""
        callbacks.append(call)
        self._cuts.append(lambda: callbacks.remove(call))

    def also(self, call: Callable[[], object]) -> None:
        """Call that too when the connections are cut."""
        self._cuts.append(call)

    def cut(self, gone: object = None) -> None:
        """End all connections; `gone` is what Qt says was destroyed."""
        while self._cuts:
            self._cuts.pop()()
