"""Pictures of an evaluation, each a PNG."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathlupi.core.claims import ClaimCheck
from napari_pathlupi.evaluation.measures import CALIBRATION_BINS, Flags, Numbers, confusion
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Predicted, Survived, Valued
from napari_pathlupi.evaluation.survival import RiskGroups, risk_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = tuple[str, Flags, Numbers]
"""Name, whether each case is positive, and its probability."""
Plot = tuple[str, str, bytes]
"""Title, what it shows in a sentence, and the PNG."""

_FEW_CLASSES = 6
"""Up to so many, the cells of a confusion have room for their shares."""
_NAMED_SETS = 60
"""Up to so many gene sets have room for their names."""
_INK, _SOFT, _LOW, _HIGH = "#1d2129", "#5d6673", "#0072B2", "#D55E00"


def plots(told: Predicted, colours: Sequence[str]) -> list[Plot]:
    """Return the pictures for pooled predictions; those of classes have the colours given, in turn."""
    if isinstance(told, Classified):
        return [*_areas(told, colours), _confusion(told), _calibration(told)]
    if isinstance(told, Labelled):
        return [*_areas(told, colours), _calibration_of_labels(told, colours)]
    if isinstance(told, Valued):
        return [_values(told, k) for k in range(len(told.names)) if np.isfinite(told.truth[:, k]).any()]
    if isinstance(told, Survived) and (groups := risk_groups(told)):
        return [_kaplan_meier(groups, told.unit)]
    return []


def plot_of_claims(checks: Mapping[str, ClaimCheck]) -> Plot | None:
    """Return all gene sets in the order of their correlation, with intervals; None where none can be judged."""
    ordered = sorted(((one.r, name, one) for name, one in checks.items() if one.known), key=lambda row: row[:2])
    if not ordered:
        return None
    names, found = [name for _, name, _ in ordered], [one for _, _, one in ordered]

    def draw(axes: "Axes") -> None:
        for y, one in enumerate(found):
            colour = _LOW if one.follows else _HIGH if one.opposes else _SOFT
            axes.plot([one.low, one.high], [y, y], color=colour, linewidth=1.2)
            axes.plot(one.r, y, "o", color=colour, markersize=3.5)
        axes.axvline(0, color=_INK, linewidth=0.8, linestyle=":")
        few = len(names) <= _NAMED_SETS
        axes.set_yticks(range(len(names)) if few else [], names if few else [], fontsize=7)
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="correlation of claimed and measured activity", ylim=(-0.8, len(names) - 0.2))

    height = 1.0 + 0.155 * min(len(names), _NAMED_SETS)
    words = "Dotted: chance. Blue: the 95 % interval lies above it, orange: below. As a table: the run's gene_sets.csv."
    return "Claimed and measured activity", words, _drawn(draw, 6.4, height)


def _drawn(draw: Callable[["Axes"], None], width: float = 4.6, height: float = 4.2) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with rc_context({"text.parse_math": False}):  # a name may hold a dollar sign
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _areas(told: Classified | Labelled, colours: Sequence[str]) -> list[Plot]:
    """ROC and precision-recall curves side by side, a class or label that does not occur left out."""
    if isinstance(told, Labelled):
        known, words = np.isfinite(told.truth), "Label by label."
        curves = [
            (name, told.truth[known[:, k], k] == 1, told.probabilities[known[:, k], k])
            for k, name in enumerate(told.labels)
        ]
    else:
        chosen = [1] if len(told.classes) == 2 else list(range(len(told.classes)))
        curves = [(told.classes[k], told.labels == k, told.probabilities[:, k]) for k in chosen]
        words = f"{told.classes[1]} against {told.classes[0]}." if chosen == [1] else "Each class against the rest."
    curves = [curve for curve in curves if curve[1].any() and not curve[1].all()]
    precision = f"{words} In brackets and dotted: the share of positive cases, which chance reaches."
    return [
        ("ROC", f"{words} All cases together; dotted: chance.", _drawn(lambda axes: _draw_roc(axes, curves, colours))),
        ("Precision and recall", precision, _drawn(lambda axes: _draw_precision(axes, curves, colours))),
    ]


def _draw_roc(axes: "Axes", curves: Sequence[Curve], colours: Sequence[str]) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.8, linestyle=":")
    for i, (name, positive, scores) in enumerate(curves):
        wrong, right, _ = roc_curve(positive, scores)
        area = roc_auc_score(positive, scores)
        axes.plot(wrong, right, color=colours[i % len(colours)], linewidth=1.6, label=f"{name}  {area:.3f}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(loc="lower right", frameon=False, fontsize=8, title="AUROC", title_fontsize=8)


def _draw_precision(axes: "Axes", curves: Sequence[Curve], colours: Sequence[str]) -> None:
    """Steps, whose area is the average precision: between two thresholds nothing is known (Davis and Goadrich 2006)."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    for i, (name, positive, scores) in enumerate(curves):
        precision, recall, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
        first = np.flatnonzero(recall == 1)[-1]  # below that threshold there is nothing more to find
        area, chance, colour = average_precision_score(positive, scores), positive.mean(), colours[i % len(colours)]
        axes.axhline(chance, color=colour, linewidth=0.8, linestyle=":")
        label = f"{name}  {area:.3f} ({chance:.2f})"
        axes.step(recall[first:][::-1], precision[first:][::-1], where="pre", color=colour, linewidth=1.6, label=label)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictive value)", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="best", framealpha=0.7, edgecolor="none", fontsize=8, title="AUPRC (chance)", title_fontsize=8)


def _confusion(told: Classified) -> Plot:
    count = len(told.classes)
    table = confusion(told.labels, told.said, count, np.ones((1, len(told))))[0]
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = min(8.0, 2.2 + 0.45 * count)

    def draw(axes: "Axes") -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.spines[:].set_visible(False)
        axes.set_xticks(range(count), told.classes, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), told.classes)
        axes.tick_params(length=0)
        axes.set(xlabel="most probable class", ylabel="true class")
        for (i, j), cases in np.ndenumerate(table):
            ink, text = "white" if shares[i, j] > 0.55 else _INK, f"{cases:.0f}"
            if count <= _FEW_CLASSES:
                text += f"\n{100 * shares[i, j]:.0f} %"
            axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=9)

    return "Confusion", "Cases; the shade is the share of their true class.", _drawn(draw, size + 0.4, size)


def _calibration(told: Classified) -> Plot:
    sure, right = told.probabilities.max(axis=1), told.said == told.labels
    least = np.floor(CALIBRATION_BINS / len(told.classes)) / CALIBRATION_BINS
    curves = [("", right, sure)]

    def draw(axes: "Axes") -> None:
        _draw_reliability(axes, curves, [_LOW], least)
        axes.set(xlabel="probability of the most probable class", ylabel="share that was right")

    words = (
        "How often the most probable class is right, by its probability. Bars: 95 % intervals (Wilson); below: cases."
    )
    return "Calibration", words, _drawn(draw)


def _calibration_of_labels(told: Labelled, colours: Sequence[str]) -> Plot:
    known = np.isfinite(told.truth)
    curves = [
        (name, told.truth[known[:, k], k] == 1, told.probabilities[known[:, k], k])
        for k, name in enumerate(told.labels)
    ]

    def draw(axes: "Axes") -> None:
        _draw_reliability(axes, curves, colours, 0.0)
        axes.set(xlabel="probability of the label", ylabel="share of the cases that have it")
        axes.legend(loc="upper left", frameon=False, fontsize=8)

    return "Calibration", "How often a label holds, by its probability. Bars: 95 % intervals (Wilson).", _drawn(draw)


def _draw_reliability(axes: "Axes", curves: Sequence[Curve], colours: Sequence[str], least: float) -> None:
    """How often something holds in bins of its probability; of one curve, how many cases each bin has."""
    from scipy.stats import binomtest

    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.8, linestyle=":")
    for i, (name, held, sure) in enumerate(curves):
        bins = np.minimum((sure * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        there = np.unique(bins)
        cases = [int((bins == b).sum()) for b in there]
        x = [float(sure[bins == b].mean()) for b in there]
        y = [float(held[bins == b].mean()) for b in there]
        ends = [binomtest(round(n * at), n).proportion_ci(method="wilson") for n, at in zip(cases, y, strict=True)]
        bars = np.abs([[end.low for end in ends], [end.high for end in ends]] - np.array(y))
        style: dict[str, Any] = {"color": colours[i % len(colours)], "linewidth": 1.2, "elinewidth": 0.8, "marker": "o"}
        axes.errorbar(x, y, bars, label=name, markersize=4.5, **style)
        for at, count in zip(x, cases, strict=True) if len(curves) == 1 else ():
            axes.text(at, -0.005, f"{count}", ha="center", va="bottom", fontsize=7, color=_SOFT)
    axes.set(xlim=(least - 0.02, 1.02), ylim=(-0.02, 1.03))


def _values(told: Valued, k: int) -> Plot:
    known = np.isfinite(told.truth[:, k])
    truth, said = told.truth[known, k], told.values[known, k]
    ends = min(truth.min(), said.min()), max(truth.max(), said.max())
    name = f"{told.names[k]} ({told.unit})" if told.unit else told.names[k]

    def draw(axes: "Axes") -> None:
        axes.plot(ends, ends, color=_SOFT, linewidth=0.8, linestyle=":")
        axes.scatter(truth, said, s=12, color=_LOW, alpha=0.6, linewidths=0)
        axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", aspect="equal")

    return told.names[k], "One point per case; on the line the prediction is exact.", _drawn(draw)


def _kaplan_meier(groups: RiskGroups, unit: str) -> Plot:
    last = max(groups.low.times[-1], groups.high.times[-1])
    both = ("low", groups.low, _LOW), ("high", groups.high, _HIGH)

    def draw(axes: "Axes") -> None:
        for name, curve, colour in both:
            label = f"{name} risk: {curve.events} events in {curve.cases} cases"
            axes.step(curve.times, curve.survival, where="post", color=colour, linewidth=1.6, label=label)
            axes.fill_between(curve.times, curve.low, curve.high, step="post", color=colour, alpha=0.15, linewidth=0)
        axes.set(xlim=(0, last), ylim=(0, 1.02), ylabel="share without the event", xlabel=unit or "time")
        axes.legend(loc="upper right", frameon=False, fontsize=8)
        ticks = [tick for tick in axes.get_xticks() if 0 <= tick <= last]
        axes.set_xticks(ticks)
        for line, (name, curve, colour) in enumerate(both):
            _beneath(axes, f"{name} risk", 0, line, colour, shift=-16, ha="right")
            for tick in ticks:
                _beneath(axes, str(curve.at_risk(tick)), tick, line, colour)

    p = "cannot be made" if np.isnan(groups.p) else "p < 0.001" if groups.p < 0.001 else f"p = {groups.p:.3f}"
    words = f"Parted at {groups.words}; log-rank test {p}. Bands: 95 % intervals. Below: cases still watched."
    return "Kaplan-Meier", words, _drawn(draw, 6.0, 4.4)


def _beneath(axes: "Axes", text: str, x: float, line: int, colour: str, shift: float = 0, ha: str = "center") -> None:
    """Write in a line of a table below the axis of times."""
    below: dict[str, Any] = {
        "xycoords": axes.get_xaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(text, (x, 0), (shift, -36 - 11 * line), ha=ha, va="top", fontsize=8, color=colour, **below)
