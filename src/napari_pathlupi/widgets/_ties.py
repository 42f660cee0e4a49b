"""Connections that end with the panel: napari's events would go on calling a widget that is gone."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakMethod


class Ties:
    """Connections to cut together."""

    def __init__(self) -> None:
        self._cuts: list[Callable[[], object]] = []

    def connect(self, emitter: Any, call: Callable[..., object]) -> None:
        """Connect an event of napari or a signal of psygnal; both hold a method weakly."""
        emitter.connect(call)
        self._cuts.append(partial(emitter.disconnect, call))

    def add_to(self, callbacks: list[Any], call: Callable[..., object]) -> None:
        """Add a method to one of napari's lists of callbacks, which would keep its object alive."""
        method = WeakMethod(call)

        def call_if_alive(*given: Any) -> None:
            if (alive := method()) is not None:
                alive(*given)

        callbacks.append(call_if_alive)
        self._cuts.append(partial(callbacks.remove, call_if_alive))

    def also(self, call: Callable[[], object]) -> None:
        """Call that too when the connections are cut."""
        self._cuts.append(call)

    def cut(self, gone: object = None) -> None:
        """End all connections; `gone` is what Qt says was destroyed."""
        while self._cuts:
            self._cuts.pop()()
