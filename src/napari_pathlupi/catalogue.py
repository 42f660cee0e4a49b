"""Every registry of the project: a name is a file in a room.

``patch_encoders["stain-texture"]`` is the ``ENCODER`` of ``patch_encoders/stain_texture.py``. Iterating a room lists
its folder and imports nothing; looking a name up imports that one file; a miss suggests the nearest name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_pathlupi.errors import NotFoundError


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
    """

    package: str
    attribute: str
    noun: str

    def __iter__(self) -> Iterator[str]:
        spec = find_spec(self.package)
        if spec is None or spec.submodule_search_locations is None:  # a broken installation
            raise NotFoundError(f"the folder {self.package} is missing: install napari-pathlupi again.")
        folders = tuple(map(Path, spec.submodule_search_locations))
        return iter(_names(folders, tuple(folder.stat().st_mtime_ns for folder in folders)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getitem__(self, name: str) -> Any:
        names = list(self)
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise NotFoundError(f"no {self.noun} is called {name!r}: {hint}known: {', '.join(names)}.")
        return getattr(import_module(f"{self.package}.{name.replace('-', '_')}"), self.attribute)


@cache
def _names(folders: tuple[Path, ...], changed_ns: tuple[int, ...]) -> list[str]:
    files = {file.stem for folder in folders for file in folder.glob("*.py")}
    return sorted(name.replace("_", "-") for name in files if not name.startswith("_"))


formats = Room("napari_pathlupi.slides", "FORMAT", "slide format")
patch_encoders = Room("napari_pathlupi.patch_encoders", "ENCODER", "patch encoder")
slide_encoders = Room("napari_pathlupi.slide_encoders", "ENCODER", "slide encoder")
objectives = Room("napari_pathlupi.molecular.objectives", "OBJECTIVE", "molecular objective")
tasks = Room("napari_pathlupi.tasks", "TASK", "task")
exports = Room("napari_pathlupi.export", "EXPORT", "export")
commands = Room("napari_pathlupi.commands", "COMMAND", "command")

rooms = (formats, patch_encoders, slide_encoders, objectives, tasks, exports)
