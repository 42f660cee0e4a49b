"""What is said of a finished run, in words."""

import json
from pathlib import Path
from typing import Any

from napari_pathlupi.bundle import load_bundle


def told(folder: Path) -> str:
    """Return what a run read, chose and reached, a sentence or figure per line."""
    lines = [
        json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines() if "event" in line
    ]
    begun = next(line for line in lines if line.get("event") == "begun")
    said = [*begun["notes"]]
    if begun.get("sets with too few genes"):
        left = begun["sets with too few genes"]
        said.append(f"{len(left)} gene sets have too few measured genes and were left out: {', '.join(left)}.")
    for number, fold in enumerate(begun["folds"]):
        said.append(f"Fold {number}: " + ", ".join(f"{count} {role}" for role, count in fold.items()) + " cases.")
    card = load_bundle(folder / "model").card
    said.append(card.description)
    for part, figures in card.metrics.items():
        if isinstance(figures, dict):
            said.append(part)
            said += [f"  {name:<28} {_figure(*triple)}" for name, triple in figures.items() if isinstance(triple, list)]
    return "\n".join(said)


def _figure(value: Any, low: Any, high: Any) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
