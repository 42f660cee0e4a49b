"""Any HDF5 file with a table of features and one of coordinates, whose names the user gives."""

from pathlib import Path

from napari_pathlupi.errors import FeaturesError, UnstatedError
from napari_pathlupi.interchange._h5 import datasets, matrix, opened, places
from napari_pathlupi.interchange._told import Reader, Stated, Told


def _knows(path: Path) -> bool:
    return bool(datasets(path))


def _read(path: Path, stated: Stated) -> Told:
    found = {name: shape for name, (_, shape) in datasets(path).items()}
    listed = ", ".join(f"{name} {shape}" for name, shape in found.items())
    if not stated.keys:
        raise UnstatedError(
            f"{path.name} holds {listed}", "keys", 'name the features and the coordinates (x, y) as "features,coords"'
        )
    names = [name.strip().strip("/") for name in stated.keys.split(",")]
    if len(names) != 2 or not set(names) <= set(found):
        raise FeaturesError(f"{path.name} has no {stated.keys!r}, it holds {listed}: give two names with --keys.")
    with opened(path) as file:
        return Told("HDF5", matrix(file, names[0], path.name), places(file, names[1], path.name))


READER = Reader("plain HDF5", 90, _knows, _read)
