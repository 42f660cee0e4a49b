"""The models that can be chosen."""

from pathlib import Path

from napari_pathlupi.bundle import Bundle, list_bundles
from napari_pathlupi.errors import BundleError
from napari_pathlupi.workflows.prediction.classify_tiles import load_model


class Models:
    """Packaged models and those that a user added, with what is wrong with a damaged one."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Bundle | BundleError]] = []
        self.current = 0
        for name in list_bundles():
            self._load(name, name)

    def _load(self, name: str, source: str | Path) -> None:
        try:
            bundle = load_model(source)
        except BundleError as error:
            self._found.append((name, error))
            return
        self._found.append((bundle.card.title, bundle))

    def add(self, folder: Path) -> None:
        """Add the model in a folder and choose it."""
        self._load(folder.name, folder)
        self.current = len(self._found) - 1

    @property
    def titles(self) -> list[str]:
        """Names to show."""
        return [title for title, _ in self._found]

    @property
    def bundle(self) -> Bundle | None:
        """The chosen model, None where it cannot be used."""
        chosen = self._found[self.current][1] if self._found else None
        return chosen if isinstance(chosen, Bundle) else None

    @property
    def problem(self) -> str:
        """Why the chosen one cannot be used."""
        chosen = self._found[self.current][1] if self._found else None
        return str(chosen) if isinstance(chosen, BundleError) else ""
