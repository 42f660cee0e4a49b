"""Models that are at hand by name: installed, listed, shown and checked."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_pathlupi.bundle import Bundle, Card, list_bundles, load_bundle, models_folder, packaged
from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.claims import NEVER, ClaimCheck, summary
from napari_pathlupi.errors import BundleError, OutputError
from napari_pathlupi.workflows.prediction.model_source import fetch


def install(place: str, name: str = "", digest: str = "", replace: bool = False) -> Bundle:
    """Put a model where its name suffices, once it reproduced its own golden example; nothing stays of one that fails.

    Parameters
    ----------
    place
        As of `napari_pathlupi.workflows.prediction.model_source.fetch`.
    name
        By which it is to be asked for; by default the one in its card.
    digest
        SHA-256 that it must have, as `pathlupi model show` prints it; "" for none.
    replace
        Whether an installed model of that name may go.

    Raises
    ------
    BundleError
        When there is no model, or another than the one expected.
    OutputError
        When the name is taken or the folder cannot be written.
    """
    home = models_folder()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".install-", dir=home) as scratch:
            fresh = Path(scratch, "model")
            fresh.mkdir()
            bundle = _fetched(place, fresh, digest)
            target = _place_for(home, name or bundle.card.name, replace)
            if target.exists():
                target.rename(Path(scratch, "old"))
            fresh.rename(target)
    except OSError as error:
        raise OutputError(
            f"cannot write to {home} ({error.strerror or error}): make room or set PATHLUPI_MODELS."
        ) from error
    return load_bundle(target)


def _fetched(place: str, folder: Path, digest: str) -> Bundle:
    """The model of a place, in this folder, whole, as expected and true to its golden example."""
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble

    fetch(place, folder)
    bundle = load_bundle(folder)
    if digest and digest.lower() != bundle.digest:
        raise BundleError(
            f"{place.partition('?')[0]} has the digest {bundle.digest}, not {digest}: it was not installed."
        )
    Ensemble.from_bundle(bundle)
    return bundle


def _place_for(home: Path, name: str, replace: bool) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise BundleError(f"a model cannot be called {name!r}: give --name with letters, digits, points and hyphens.")
    if name in packaged():
        raise OutputError(f"{name} comes with the package: install this one under another name with --name.")
    if (home / name).exists() and not replace:
        raise OutputError(f"a model {name} is installed already: give --replace, or another name with --name.")
    return home / name


def remove(name: str) -> None:
    """Delete an installed model; `BundleError` where there is none of that name."""
    if name in packaged() or name not in list_bundles():
        raise BundleError(f"no model {name!r} was installed: `pathlupi model list` names them.")
    shutil.rmtree(models_folder() / name)


def as_markdown(bundle: Bundle) -> str:
    """Return the card of a model as a page in Markdown."""
    card = bundle.card
    lines = [f"# {card.title}", "", f"**{card.research_use_only}**", "", card.description, ""]
    lines += _table("What it is", _facts(bundle))
    for title, words in (("Intended use", card.intended_use), ("Trained on", card.trained_on), ("Limits", card.limits)):
        lines += [f"## {title}", "", words, ""] if words else []
    lines += _metrics(card.metrics)
    if card.calibration:
        lines += _table("Calibration", _calibration(Calibration.of(card.calibration)))
    if card.objective:
        lines += ["## Gene sets", "", f"{card.gene_sets or 'Source not stated'}: {_some(card.objective.targets)}.", ""]
        lines += _claims({name: ClaimCheck.of(entry) for name, entry in card.claims.items()})
    return "\n".join(lines)


def _facts(bundle: Bundle) -> dict[str, str]:
    card = bundle.card
    encoder = card.patch_encoder.identity
    known = "" if encoder.name in patch_encoders else " (not in the catalogue: predict on features alone)"
    return {
        "name": card.name,
        "task": f"{card.task.name}{_classes(card)}",
        "tiles": f"{encoder}{known}",
        "slide encoder": card.slide_encoder.name,
        "models in it": str(card.members),
        "licence": card.licence + (" (given out after an agreement)" if card.gated else ""),
        "source": card.source,
        "made": card.created,
        "digest": bundle.digest,
    }


def _classes(card: Card) -> str:
    names = card.task.settings.get("classes") or card.task.settings.get("labels") or card.task.settings.get("names")
    return f": {', '.join(map(str, names))}" if isinstance(names, list) else ""


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    lines = ["## Metrics", ""] if metrics else []
    plain = {name: _number(value) for name, value in metrics.items() if not isinstance(value, dict)}
    lines += _rows(plain)
    for part, figures in metrics.items():
        if isinstance(figures, dict):
            lines += [f"### {part}", "", *_rows({name: _number(value) for name, value in figures.items()})]
    return lines


def _number(value: Any) -> str:
    if isinstance(value, list) and len(value) == 3:
        return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _calibration(calibration: Calibration) -> dict[str, str]:
    facts = {"fitted on": f"{calibration.cases} validation cases", "temperature": f"{calibration.temperature:.3g}"}
    if calibration.thresholds:
        facts["sets"] = f"{100 * calibration.level:g} % conformal"
    if calibration.coverage is not None:
        facts["coverage"] = f"{100 * calibration.coverage:.1f} % of {calibration.coverage_cases} test cases"
    return facts


def _claims(checks: Mapping[str, ClaimCheck]) -> list[str]:
    """What came of holding claims against measured expression, the best first."""
    ordered = sorted(checks.items(), key=lambda item: -item[1].r if item[1].known else 1.0)
    shown = {name: f"r {one.figure}" for name, one in ordered if one.known}
    return [summary(checks) or NEVER, "", *_rows(shown)]


def _table(title: str, facts: Mapping[str, str]) -> list[str]:
    return [f"## {title}", "", *_rows(facts)]


def _rows(facts: Mapping[str, str]) -> list[str]:
    if not facts:
        return []
    return ["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in facts.items()), ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
