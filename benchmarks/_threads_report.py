"""The tables of the Threads benchmark, their intervals, and its figures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from _privileged_statistics import Interval, Resamples, interval_of, scores_of
from _privileged_world import read_real
from _threads_cells import BY_RANK, ENCODERS, FEW

Lines = Sequence[Mapping[str, Any]]
Numbers = npt.NDArray[np.float64]
MEASURES = {
    "probe": f"linear probe, {FEW} labels: macro AUROC",
    "probe, all": "linear probe, all labels: macro AUROC",
    "retrieval": "retrieval: mAP@5",
    "prompting": "prompting: macro AUROC",
}
COMPARED = (
    ("threads", "mean pooling"),
    ("threads", "random initialisation"),
    ("threads", "shuffled"),
    ("shuffled", "random initialisation"),
    (BY_RANK, "threads"),
)
AT_FIVE = 1
"""Place of 5 among the ranks."""
MARK = "threads"
"""Between its begin and end the tables stand in a document."""


def measured(lines: Lines, labels: npt.NDArray[np.int64], resamples: Resamples, measure: str) -> Numbers:
    """Return (resamples, worlds) of a measure, of the lines of one encoder."""
    if measure != "retrieval":
        return scores_of([{**line, "scores": line[measure]} for line in lines], labels, resamples)
    columns = []
    for line in lines:
        counts = resamples.patients[:, np.array(line["patients"])]
        columns.append(counts @ np.array(line["retrieval"])[:, AT_FIVE] / counts.sum(axis=1))
    return np.stack(columns, axis=1)


def intervals(lines: Lines, folder: Path) -> Iterator[tuple[str, str, str, Interval]]:
    """Yield measure, encoder, what it is compared with ("" for itself) and the interval; over the worlds all have."""
    labels = read_real("pam50", folder).labels
    for measure in MEASURES:
        found = {name: {line["seed"]: line for line in lines if line["name"] == name} for name in (*ENCODERS, BY_RANK)}
        told = {name: one for name, one in found.items() if one and all(measure in line for line in one.values())}
        seeds = sorted(set.intersection(*(set(told[name]) for name in told if name != BY_RANK))) if told else []
        by_name = {name: one for name, one in told.items() if set(seeds) <= set(one)}
        if not seeds:
            continue
        resamples = Resamples.draw(labels, len(seeds))
        values = {
            name: measured([found[seed] for seed in seeds], labels, resamples, measure)
            for name, found in by_name.items()
        }
        for name in values:
            yield measure, name, "", interval_of(values[name], resamples)
        for first, second in COMPARED:
            if first in values and second in values:
                yield measure, first, second, interval_of(values[first] - values[second], resamples)


def table(lines: Lines, folder: Path) -> list[str]:
    """Return the tables as Markdown."""
    worlds = len({line["seed"] for line in lines if line["name"] == ENCODERS[-1]})
    rows = [f"{worlds} worlds.", "", "| measure | encoder | mean | 95 %, worlds and patients | 95 %, t over worlds |"]
    rows.append("|---|---|---|---|---|")
    for measure, name, other, found in intervals(lines, folder):
        what = f"{name} − {other}" if other else name
        sign = "+" if other else ""
        spans = [f"{low:{sign}.3f} to {high:{sign}.3f}" for low, high in _spans(found)]
        rows.append(f"| {MEASURES[measure]} | {what} | {found.mean:{sign}.3f} | {spans[0]} | {spans[1]} |")
    return [*rows, "", cost(lines)]


def cost(lines: Lines) -> str:
    """Return in a sentence what the pre-trainings took."""
    trained = [line for line in lines if "losses" in line]
    if not trained:
        return "Nothing was pre-trained."
    cpu, wall = ([line[key] for line in trained] for key in ("pretrain_cpu_s", "pretrain_s"))
    ends = {name: [line["losses"][-1] for line in trained if line["name"] == name] for name in ("threads", "shuffled")}
    first = np.mean([line["losses"][0] for line in trained])
    own, shuffled = (f"{np.mean(values):.2f}" if values else "(not run)" for values in ends.values())
    return (
        f"One pre-training takes {np.mean(cpu):.0f} s of one core (at most {max(cpu):.0f} s; {max(wall):.0f} s by the "
        f"clock beside other work); its loss goes from {first:.2f} to {own}, with shuffled molecules to {shuffled}."
    )


def _spans(found: Interval) -> tuple[tuple[float, float], tuple[float, float]]:
    return (found.low, found.high), (found.t_low, found.t_high)


def figures(lines: Lines, folder: Path, quick: bool) -> dict[str, Any]:
    """Return the figures of the last line; a low end is the lower of both intervals, a high end the higher."""
    found = {(measure, name, other): one for measure, name, other, one in intervals(lines, folder)}

    def low(*key: str) -> float | None:
        return round(min(found[key].low, found[key].t_low), 4) if key in found else None  # type: ignore[index]

    gains = [low("probe", "threads", other) for other in ("mean pooling", "random initialisation")]
    shuffled = found.get(("probe", "shuffled", "random initialisation"))
    told = {
        "probe_gain_low": min(gain for gain in gains if gain is not None) if None not in gains else None,
        "probe_gain_low_mean_pooling": gains[0],
        "probe_gain_low_random_initialisation": gains[1],
        "retrieval_map5": _mean(found, "retrieval"),
        "retrieval_gain_low_mean_pooling": low("retrieval", "threads", "mean pooling"),
        "prompting_auroc": _mean(found, "prompting"),
        "shuffled_gain_low": low("probe", "shuffled", "random initialisation"),
        "shuffled_gain_high": round(max(shuffled.high, shuffled.t_high), 4) if shuffled else None,
    }
    return told | {"worlds": len({line["seed"] for line in lines}), "quick": quick}


def _mean(found: Mapping[tuple[str, str, str], Interval], measure: str) -> float | None:
    one = found.get((measure, "threads", ""))
    return round(one.mean, 4) if one else None
