"""The folder of a run: whose it is, and what is told in it while the run goes on, a line of JSON each, at once."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_pathlupi.errors import OutputError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.workflows.parallel import rank

CONFIG, LOG = "config.toml", "log.jsonl"


@dataclass(frozen=True, slots=True)
class StudyLog:
    """A file of JSON lines.

    Parameters
    ----------
    path
        Where; lines are added to what is there.
    """

    path: Path

    def tell(self, values: Mapping[str, Any]) -> None:
        """Add a line, with the time; only the first of several processes does.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        if rank():
            return
        line = {"time": datetime.now().astimezone().isoformat(timespec="seconds"), **values}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self.path} ({error.strerror}): choose another folder.") from error

    def of(self, **context: Any) -> Callable[[Mapping[str, Any]], None]:
        """Return what tells with some values added to each line."""
        return lambda values: self.tell({**context, **values})

    def lines(self) -> list[dict[str, Any]]:
        """Return what was told; a line that a kill cut off is left out."""
        found = []
        for text in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found


def claim(folder: Path, settings: str, trained: Sequence[str]) -> None:
    """Make the folder of a run, or find in it the same run.

    Parameters
    ----------
    folder, settings
        Where, and the whole of ``config.toml``.
    trained
        Patterns of the files of which any says that something was trained: only then other settings are refused.

    Raises
    ------
    OutputError
        When it holds another run or other files, or cannot be written.
    """
    try:
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if CONFIG in there and (LOG in there or there == {CONFIG}):
            begun = any(path.is_file() for pattern in trained for path in folder.glob(pattern))
            if begun and (folder / CONFIG).read_text(encoding="utf-8") != settings:
                raise OutputError(f"{folder} holds a run with other settings: choose another folder as run.out.")
        elif there:
            raise OutputError(f"{folder} holds other files: choose an empty or new folder as run.out.")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {folder} ({error.strerror}): choose another folder as run.out.") from error
    write_whole(folder / CONFIG, settings)
    (folder / LOG).touch()
