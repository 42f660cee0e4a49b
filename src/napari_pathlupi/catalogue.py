"""Every registry of the project: a name is a file in a room.

``patch_encoders["stain-texture"]`` is the ``ENCODER`` of ``patch_encoders/stain_texture.py``. Iterating a room lists
its folder and imports nothing; looking a name up imports that one file; a miss suggests the nearest name.

Where entries differ in data only, a room may let one file hold a table of them; the files of such a room are imported
when it is listed, so they import nothing heavy themselves.
"""

from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from napari_pathlupi.errors import NotFoundError, did_you_mean


@dataclass(frozen=True, slots=True, eq=False)
class Room(Mapping[str, Any]):
    """The entries of one package folder, by name.

    Parameters
    ----------
    package
        Dotted name of the folder.
    attribute
        What each file of the folder must define.
    noun
        What one entry is called in a message.
    table
        What a file may define instead: several entries, each with its own ``name`` and perhaps ``aliases``.
    shared
        Whether the folder has files without an entry of this kind; then they too are imported when it is listed.
    """

    package: str
    attribute: str
    noun: str
    table: str = ""
    shared: bool = False

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries()) if self.table else self._files())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in list(self) or (bool(self.table) and name in self._aliases())

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            names = list(self)
            hint = did_you_mean(name, names)
            raise NotFoundError(f"no {self.noun} is called {name!r}: {hint}known: {', '.join(names)}.")
        return self._entries()[self._aliases().get(name, name)] if self.table else self._only_entry(name)

    def items(self) -> ItemsView[str, Any]:
        """Return names and entries; of a room with tables they are collected once, not for every name."""
        return dict(sorted(self._entries().items())).items() if self.table else Mapping.items(self)

    def _files(self) -> list[str]:
        spec = find_spec(self.package)
        if spec is None or spec.submodule_search_locations is None:  # a broken installation
            raise NotFoundError(f"the folder {self.package} is missing: install napari-pathlupi again.")
        folders = tuple(map(Path, spec.submodule_search_locations))
        names = _names(folders, tuple(folder.stat().st_mtime_ns for folder in folders))
        return [name for name in names if hasattr(self._module(name), self.attribute)] if self.shared else names

    def _module(self, name: str) -> ModuleType:
        return import_module(f"{self.package}.{name.replace('-', '_')}")

    def _only_entry(self, name: str) -> Any:
        return getattr(self._module(name), self.attribute)

    def _entries(self) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for file in self._files():
            table = getattr(self._module(file), self.table, None)
            entries |= {file: self._only_entry(file)} if table is None else {entry.name: entry for entry in table}
        return entries

    def _aliases(self) -> dict[str, str]:
        return {alias: name for name, entry in self._entries().items() for alias in getattr(entry, "aliases", ())}


@cache
def _names(folders: tuple[Path, ...], changed_ns: tuple[int, ...]) -> list[str]:
    files = {file.stem for folder in folders for file in folder.glob("*.py")}
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


formats = Room("napari_pathlupi.slides", "FORMAT", "slide format")
patch_encoders = Room("napari_pathlupi.patch_encoders", "ENCODER", "patch encoder", "ENCODERS")
slide_encoders = Room("napari_pathlupi.slide_encoders", "ENCODER", "slide encoder")
external_slide_encoders = Room("napari_pathlupi.external_slide_encoders", "ENCODER", "slide encoder of others")
objectives = Room("napari_pathlupi.molecular.objectives", "OBJECTIVE", "molecular objective")
molecular_encoders = Room("napari_pathlupi.molecular.encoders", "ENCODER", "molecular encoder")
tasks = Room("napari_pathlupi.tasks", "TASK", "task")
exports = Room("napari_pathlupi.export", "EXPORT", "export")
readers = Room("napari_pathlupi.interchange", "READER", "file of features", shared=True)
writers = Room("napari_pathlupi.interchange", "WRITER", "file of features", shared=True)
commands = Room("napari_pathlupi.commands", "COMMAND", "command")

rooms = (
    *(formats, patch_encoders, slide_encoders, external_slide_encoders),
    *(objectives, molecular_encoders, tasks, exports),
)
