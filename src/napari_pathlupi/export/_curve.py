"""A survival curve as a picture."""

import io

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.outlook import SurvivalCurve, told

_INK, _SOFT, _LINE = "#1d2129", "#5d6673", "#0072b2"
_STEPS = 200


def curve_png(answer: SurvivalCurve) -> bytes:
    """Return the curve with its times as a PNG, that of each fold thin behind it.

    Points are what the model says; between them events come at a constant rate, as folds with other bins are read.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with rc_context({"text.parse_math": False}):
        figure = Figure(figsize=(3.7, 2.6), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(0.5, color=_SOFT, linewidth=0.8, linestyle=":")
        for fold in answer.folds:
            axes.plot(*between(answer.times, fold), color=_SOFT, linewidth=0.8, alpha=0.5)
        axes.plot(*between(answer.times, answer.survival), color=_LINE, linewidth=1.8)
        axes.plot(answer.times, answer.survival, "o", color=_LINE, markersize=4.5)
        axes.set(xlim=(0, answer.times[-1] * 1.03), ylim=(0, 1.03), xlabel=answer.unit, ylabel="without the event")
        axes.set_xticks([0, *answer.times], ["0", *told(answer.times)])
        axes.tick_params(labelsize=8, colors=_INK)
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def between(times: tuple[float, ...], survival: tuple[float, ...]) -> tuple[npt.NDArray[np.float64], ...]:
    """Return fine times from 0 on and the survival there: a constant rate of events from each time to the next."""
    fine = np.linspace(0, times[-1], _STEPS)
    logs = np.log(np.clip([1.0, *survival], 1e-12, 1.0))
    return fine, np.exp(np.interp(fine, [0.0, *times], logs))
