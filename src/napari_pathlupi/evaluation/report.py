"""An evaluation as one page that needs nothing but a browser, and as tables."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.core.claims import ClaimCheck, summary
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.evaluation.measures import confusion
from napari_pathlupi.evaluation.plots import plot_of_claims, plots
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Predicted, Survived
from napari_pathlupi.evaluation.scoring import MEAN, POOLED, Comparison, Figure, Predictions, Score, ScoreConfig

if TYPE_CHECKING:
    import pandas as pd

MEANINGS = {
    "AUROC": "how often a case of the class gets a higher probability than one that is not; 0.5 is chance.",
    "AUPRC": "mean precision over all thresholds; chance is the share of the class among the cases.",
    "Balanced accuracy": "mean over the classes of the share that is recognised, by the most probable class.",
    "F1": "harmonic mean of precision and recall of the most probable class.",
    "Cohen's kappa": "agreement beyond chance; the quadratic one weighs how far apart ordered classes are.",
    "Brier score": "mean squared error of the probabilities; 0 is best.",
    "Calibration error": "by how much the most probable class is right more or less often than its probability says.",
    "Coverage of the sets": "share of the cases whose conformal set holds the truth.",
    "Classes in a set": "how large the sets are; 1 rules all others out.",
    "Share of decided cases": "how often the set of a label holds yes or no, not both.",
    "C-index": "of two cases, how often the one of higher risk has the event first; 0.5 is chance.",
    "R²": "share of the variance that is explained; 0 is as good as the mean, below it worse.",
    "Pearson's r": "how close to a line predictions and truth lie, whatever its slope.",
    "Mean absolute error": "in the unit of the value.",
}
"""What each measure says, by how its name begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All that is found out about a table of predictions.

    Parameters
    ----------
    title
        Of the page: which table.
    predictions
        With their truth.
    scores
        Of each fold, their mean and all together.
    config
        How the intervals were found.
    comparison
        With another model; None without one.
    against
        Which that is.
    notes
        What was read and what was left out, a sentence each.
    claims
        By gene set, how far what a run's folds claim went with what was measured; empty where nobody looked.
    """

    title: str
    predictions: Predictions
    scores: tuple[Score, ...]
    config: ScoreConfig
    comparison: Comparison | None = None
    against: str = ""
    notes: tuple[str, ...] = ()
    claims: Mapping[str, ClaimCheck] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """How the intervals were found, in words."""
        told = self.predictions.told
        kind = "outcome" if isinstance(told, Survived) else "class" if isinstance(told, Classified) else ""
        apart = len(set(self.predictions.folds)) > 1 and not self.predictions.several
        strata = " and ".join(filter(None, [kind, "fold" * apart]))
        rare = f"; a {kind} with one case in a fold over all folds" if kind and apart else ""
        drawn = f"within each {strata}, so that no resample lacks one{rare}" if strata else "all together"
        return (
            f"Intervals: {100 * self.config.level:g} %, from {self.config.resamples:,} resamples of the patients "
            f"(drawn {drawn}; seed {self.config.seed}).{self._too_narrow}"
        )

    @property
    def _too_narrow(self) -> str:
        """Which classes have one case, that every resample holds."""
        told = self.predictions.pooled()
        counts = np.bincount(told.labels, minlength=len(told.classes)) if isinstance(told, Classified) else np.zeros(0)
        alone = [told.classes[k] for k in np.flatnonzero(counts == 1)] if isinstance(told, Classified) else []
        return f" One case alone is of {', '.join(alone)}: intervals that it counts in are too narrow." * bool(alone)


def report(evaluation: Evaluation, colours: Sequence[str]) -> str:
    """Return the page; classes are drawn in these colours, in turn."""
    pooled = evaluation.predictions.pooled()
    template = Template(files(__package__).joinpath("_report.html").read_text(encoding="utf-8"))
    pictures = plots(pooled, colours)
    return template.substitute(
        title=escape(evaluation.title),
        about=escape(_about(pooled)),
        protocol=escape(evaluation.protocol + _pooling(evaluation.predictions)),
        figures=_figures(evaluation.scores),
        meanings="".join(f"<dt>{name}</dt><dd>{escape(words)}</dd>" for name, words in _meanings(evaluation)),
        comparison=_comparison(evaluation),
        plots="\n".join(_picture(*picture) for picture in pictures),
        claims=_claims(evaluation.claims),
        notes="".join(f"<li>{escape(note)}</li>" for note in evaluation.notes),
        research_use=escape(RESEARCH_USE_ONLY),
    )


def _about(told: Predicted) -> str:
    if isinstance(told, Classified):
        counts = np.bincount(told.labels, minlength=len(told.classes))
        return f"{len(told)} cases: " + ", ".join(f"{n} {c}" for n, c in zip(told.classes, counts, strict=True))
    if isinstance(told, Survived):
        return f"{len(told)} cases, {int(told.events.sum())} with the event"
    if isinstance(told, Labelled):
        held, known = np.nansum(told.truth, axis=0), np.isfinite(told.truth).sum(axis=0)
        parts = zip(told.labels, held, known, strict=True)
        return f"{len(told)} cases: " + ", ".join(f"{name} in {n:.0f} of {of}" for name, n, of in parts)
    return f"{len(told)} cases"


def _meanings(evaluation: Evaluation) -> Iterable[tuple[str, str]]:
    """What the measures of the table mean, for whom they are not daily bread."""
    there = evaluation.scores[-1].figures
    for name, words in MEANINGS.items():
        if any(measure == name or measure.startswith((f"{name} (", f"{name} of ")) for measure in there):
            yield name, words


def _pooling(predictions: Predictions) -> str:
    if len(set(predictions.folds)) < 2:
        return ""
    if predictions.several:
        return " Pooled: every patient once, with the mean of what the folds predict."
    risks = isinstance(predictions.told, Survived)
    return " Pooled: all patients at once" + (", pairs of cases within a fold only." if risks else ".")


def _figures(scores: Sequence[Score]) -> str:
    """Measures down, parts across; of single folds the value alone, the intervals are in the CSV."""
    wide = (MEAN, POOLED)
    heads = "".join(f"<th{' colspan=2' * (s.part in wide)}>{_fold(s.part)}<br>{s.cases} cases</th>" for s in scores)
    rows = []
    for i, name in enumerate(scores[-1].figures):
        cells = "".join(_cells(s.figures[name], s.part in wide) for s in scores)
        rows.append(f"<tr{' class=first' * (not i)}><td>{escape(name)}</td>{cells}</tr>")
    return f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _fold(part: str) -> str:
    return part if part in (MEAN, POOLED) else f"fold {escape(part)}"


def _cells(figure: Figure, interval: bool) -> str:
    value = "–" if np.isnan(figure.value) else f"{figure.value:.3f}"
    ends = "" if np.isnan([figure.low, figure.high]).any() else f"{figure.low:.3f} to {figure.high:.3f}"
    return f"<td>{value}</td>" + f'<td class="interval">{ends}</td>' * interval


def _comparison(evaluation: Evaluation) -> str:
    found = evaluation.comparison
    if found is None:
        return ""
    rows = [
        f"<tr><td>{escape(name)}</td><td>{d.first:.3f}</td><td>{d.second:.3f}</td><td>{d.gap.value:+.3f}</td>"
        f'<td class="interval">{d.gap.low:+.3f} to {d.gap.high:+.3f}</td><td>{_p(d.p)}</td></tr>'
        for name, d in found.differences.items()
    ]
    rows += [
        f"<tr><td>AUROC of {escape(name)}, DeLong</td><td>{test.first:.3f}</td><td>{test.second:.3f}</td>"
        f'<td>{test.first - test.second:+.3f}</td><td class="interval">{test.interval[0]:+.3f} to '
        f"{test.interval[1]:+.3f}</td><td>{_p(test.p)}</td></tr>"
        for name, test in found.delong.items()
    ]
    others = found.only_first + found.only_second
    left = f"; {others} that only one of them predicted are left out" if others else ""
    words = (
        f"The same {found.cases} patients, drawn alike for both{left}. p is two-sided, not corrected for many tests."
    )
    return (
        f'<section><h2>Against {escape(evaluation.against)}</h2><p class="soft">{words}</p><div class="wide"><table>'
        "<thead><tr><th></th><th>this</th><th>other</th><th colspan=2>difference</th><th>p</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _claims(checks: Mapping[str, ClaimCheck]) -> str:
    """The section of the gene sets, nothing where none was looked at."""
    if not checks:
        return ""
    drawn = plot_of_claims(checks)
    words = f"{summary(checks)} This is about the activity claimed of a case, not about where a map puts it."
    figure = _picture(*drawn) if drawn else "<h2>Gene sets</h2>"
    return f'<section>{figure}<p class="soft">{escape(words)}</p></section>'


def _p(p: float) -> str:
    return "–" if np.isnan(p) else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _picture(title: str, words: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    width = int.from_bytes(png[16:20], "big") * 96 // 150  # as large as it was drawn at
    return (
        f'<figure><h2>{escape(title)}</h2><img alt="{escape(title)}" width="{width}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(words)}</figcaption></figure>'
    )


def tables(evaluation: Evaluation) -> Mapping[str, "pd.DataFrame"]:
    """Return what the report says as tables, by the name of their file."""
    import pandas as pd

    found = {"figures": pd.DataFrame(list(_rows_of_scores(evaluation.scores)))}
    pooled = evaluation.predictions.pooled()
    if isinstance(pooled, Classified):
        count = len(pooled.classes)
        cases = confusion(pooled.labels, pooled.said, count, np.ones((1, len(pooled))))[0].astype(int)
        found["confusion"] = pd.DataFrame(cases, pooled.classes, pooled.classes).rename_axis("true").reset_index()
    if evaluation.comparison is not None:
        found["comparison"] = pd.DataFrame(list(_rows_of_comparison(evaluation.comparison)))
    return found


def _rows_of_scores(scores: Iterable[Score]) -> Iterable[dict[str, object]]:
    for s in scores:
        for name, figure in s.figures.items():
            ends = {"value": figure.value, "low": figure.low, "high": figure.high}
            yield {"part": s.part, "cases": s.cases, "measure": name, **ends}


def _rows_of_comparison(found: Comparison) -> Iterable[dict[str, object]]:
    for name, d in found.differences.items():
        ends = {"difference": d.gap.value, "low": d.gap.low, "high": d.gap.high, "p": d.p}
        yield {"measure": name, "test": "paired bootstrap", "first": d.first, "second": d.second, **ends}
    for name, test in found.delong.items():
        low, high = test.interval
        ends = {"difference": test.first - test.second, "low": low, "high": high, "p": test.p}
        yield {"measure": f"AUROC of {name}", "test": "DeLong", "first": test.first, "second": test.second, **ends}
