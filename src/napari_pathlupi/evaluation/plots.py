"""Pictures of an evaluation, each a PNG."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.evaluation.measures import CALIBRATION_BINS, confusion
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Predicted, Survived, Valued
from napari_pathlupi.evaluation.survival import RiskGroups, risk_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Plot = tuple[str, str, bytes]
"""Title, what it shows in a sentence, and the PNG."""

_INK, _SOFT, _LOW, _HIGH = "#1d2129", "#5d6673", "#0072B2", "#D55E00"


def plots(told: Predicted, colours: Sequence[str]) -> list[Plot]:
    """Return the pictures for pooled predictions; those of classes have the colours given, in turn."""
    if isinstance(told, Classified):
        return [_roc(told, colours), _confusion(told), _calibration(told)]
    if isinstance(told, Labelled):
        return [_roc_of_labels(told, colours)]
    if isinstance(told, Valued):
        return [_values(told, k) for k in range(len(told.names)) if np.isfinite(told.truth[:, k]).any()]
    if isinstance(told, Survived) and (groups := risk_groups(told)):
        return [_kaplan_meier(groups, told.unit)]
    return []


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


def _roc(told: Classified, colours: Sequence[str]) -> Plot:
    chosen = [1] if len(told.classes) == 2 else list(range(len(told.classes)))
    curves = [(told.classes[k], told.labels == k, told.probabilities[:, k]) for k in chosen]
    words = f"{told.classes[1]} against {told.classes[0]}." if len(chosen) == 1 else "Each class against the rest."
    return "ROC", f"All cases together. {words}", _drawn(lambda axes: _draw_roc(axes, curves, colours))


def _roc_of_labels(told: Labelled, colours: Sequence[str]) -> Plot:
    known = np.isfinite(told.truth)
    curves = [
        (name, told.truth[known[:, k], k] == 1, told.probabilities[known[:, k], k])
        for k, name in enumerate(told.labels)
    ]
    return "ROC", "All cases together, label by label.", _drawn(lambda axes: _draw_roc(axes, curves, colours))


def _draw_roc(axes: "Axes", curves: Sequence[tuple[str, np.ndarray, np.ndarray]], colours: Sequence[str]) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.8, linestyle=":")
    for i, (name, positive, scores) in enumerate(curves):
        if not positive.any() or positive.all():
            continue
        wrong, right, _ = roc_curve(positive, scores)
        area = roc_auc_score(positive, scores)
        axes.plot(wrong, right, color=colours[i % len(colours)], linewidth=1.6, label=f"{name}  {area:.3f}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(loc="lower right", frameon=False, fontsize=8, title="AUROC", title_fontsize=8)


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
        axes.set(xlabel="said", ylabel="true")
        for (i, j), cases in np.ndenumerate(table):
            axes.text(j, i, f"{cases:.0f}", ha="center", va="center", color="white" if shares[i, j] > 0.55 else _INK)

    return "Confusion", "Cases; the shade is the share of their true class.", _drawn(draw, size + 0.4, size)


def _calibration(told: Classified) -> Plot:
    sure, right = told.probabilities.max(axis=1), told.said == told.labels
    bins = np.minimum((sure * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    there = np.unique(bins)
    points = np.array([(sure[bins == b].mean(), right[bins == b].mean(), (bins == b).sum()) for b in there])

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=_SOFT, linewidth=0.8, linestyle=":")
        axes.plot(points[:, 0], points[:, 1], color=_LOW, linewidth=1.2, zorder=1)
        axes.scatter(points[:, 0], points[:, 1], s=20 + 380 * points[:, 2] / len(sure), color=_LOW, alpha=0.75)
        for x, y, cases in points:
            axes.annotate(f"{cases:.0f}", (x, y), (7, -9), textcoords="offset points", fontsize=7, color=_SOFT)
        axes.set(xlabel="probability of the class that was said", ylabel="share that was right")
        axes.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), aspect="equal")

    words = "How often the class that was said is right, by its probability; beside each point its cases."
    return "Calibration", words, _drawn(draw)


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
        axes.set(xlim=(0, last), ylim=(0, 1.02), ylabel="share without the event")
        axes.legend(loc="lower left", frameon=False, fontsize=8)
        ticks = [tick for tick in axes.get_xticks() if tick <= last]
        numbers = ["\n".join(str(curve.at_risk(tick)) for _, curve, _ in both) for tick in ticks]
        axes.set_xticks(ticks, [f"{tick:g}\n{watched}" for tick, watched in zip(ticks, numbers, strict=True)])
        axes.set_xlabel(f"{unit or 'time'}; cases of low and of high risk still watched")

    p = "cannot be made" if np.isnan(groups.p) else "p < 0.001" if groups.p < 0.001 else f"p = {groups.p:.3f}"
    words = f"Parted at {groups.words}; log-rank test {p}. Bands: 95 % intervals."
    return "Kaplan-Meier", words, _drawn(draw, 6.0, 4.4)
