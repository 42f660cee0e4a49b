"""What a run tells while it goes on: a line of JSON each, on disk at once."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_pathlupi.errors import OutputError
from napari_pathlupi.workflows.parallel import rank


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
