"""What a run writes for people and for `pathlupi evaluate`: predictions, the cohort as used, attention, curves."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.export._whole_file import whole_path, write_whole
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.workflows.training.study_data import StudyData
from napari_pathlupi.workflows.training.study_fold import FoldResult, Outputs

RISK = "risk"
SEVERAL = "|"
"""Between the slides of a case in the run's cohort.csv."""


def predictions_of(
    task: Task, names: Sequence[str], fold: int, outputs: Outputs, calibration: Calibration | None
) -> pd.DataFrame:
    """Return a row per case: case_id, fold, and what the task's answer says in columns."""
    rows: list[dict[str, Any]] = []
    for name, numbers in zip(names, torch.from_numpy(outputs), strict=True):
        rows.append({"case_id": name, "fold": fold, **task.answer(numbers, calibration).columns()})
    return pd.DataFrame(rows)


def risks_of(task: Task, outputs: Outputs) -> list[float]:
    """Return the risk of each case, as the answers of a task of time have it."""
    return [float(task.answer(numbers).columns()[RISK]) for numbers in torch.from_numpy(outputs)]


def cohort_as_used(data: StudyData) -> pd.DataFrame:
    """Return a row per case: its slides, site, labels, whether it has RNA, and its part in each fold."""
    cohort, endpoint = data.cohort, data.cohort.endpoint
    table: dict[str, Any] = {
        "case_id": cohort.names,
        "slides": [SEVERAL.join(Path(slide).stem for slide in case.slides) for case in cohort.cases],
        "site": [case.site for case in cohort.cases],
        "has_rna": [] if data.expression is None else [name in data.expression.index for name in cohort.names],
    }
    if data.expression is None:
        table["has_rna"] = [False] * len(cohort)
    wanted = cohort.wanted
    if endpoint.task == "classification":
        table["label"] = ["" if np.isnan(value) else endpoint.classes[int(value)] for value in wanted[:, 0]]
    elif endpoint.task == "survival":
        table |= {"time": wanted[:, 0], "event": wanted[:, 1], "time_unit": endpoint.unit}
    else:
        table |= dict(zip(endpoint.columns, wanted.T, strict=True))
    table |= {key: values for key, values in data.folds.as_columns().items() if key != "case_id"}
    return pd.DataFrame(table)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write_whole(path, table.to_csv(index=False, lineterminator="\n"))


def attention_rows(data: StudyData, result: FoldResult) -> Iterable[pd.DataFrame]:
    """Yield a table per test slide whose tiles are known: slide_id, corner and side of each tile, its score.

    The score is the mean attention of the fold's models, which did not learn from the case: the share of a tile among
    those of its slide.
    """
    for row in result.test:
        for slide in data.cohort.cases[int(row)].slides:
            grid = data.places.tiles(slide)
            said = [model.infer(np.asarray(data.places.read(slide), np.float32)).attention for model in result.models]
            known = [one for one in said if one is not None]
            if grid is None or len(known) < len(said):
                continue
            yield pd.DataFrame(
                {
                    "slide_id": Path(slide).stem,
                    "y_px0": grid.origins_px0[:, 0],
                    "x_px0": grid.origins_px0[:, 1],
                    "side_px0": grid.side_px0[1],
                    "score": np.mean(known, axis=0),
                }
            )


def write_attention(path: Path, tables: Iterable[pd.DataFrame]) -> bool:
    """Write tables one after the other to one CSV or Parquet file, and return whether there was any."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = iter(tables)
    first = next(parts, None)
    if first is None:
        return False
    with whole_path(path) as draft:
        if path.suffix == ".csv":
            first.to_csv(draft, index=False, lineterminator="\n")
            for table in parts:
                table.to_csv(draft, index=False, header=False, mode="a", lineterminator="\n")
        else:
            schema = pa.Schema.from_pandas(first, preserve_index=False)
            with pq.ParquetWriter(draft, schema) as writer:
                for table in (first, *parts):
                    writer.write_table(pa.Table.from_pandas(table, schema, preserve_index=False))
    return True


def draw_curves(folder: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Draw loss and validation score of every training as curves.png and curves.svg; nothing where nothing was told."""
    from matplotlib.figure import Figure

    curves: dict[tuple[Any, ...], dict[int, tuple[float, float]]] = {}
    for line in lines:
        if "loss" in line:
            key = line["weight"], line["fold"], line["seed"]
            score = np.nan if line["score"] is None else line["score"]
            curves.setdefault(key, {})[line["step"]] = line["loss"], score  # what was told again counts
    if not curves:
        return
    weights = sorted({key[0] for key in curves})
    figure = Figure(figsize=(9, 3.4 * len(weights)), layout="constrained")
    axes = figure.subplots(len(weights), 2, squeeze=False, sharex=True)
    for (weight, fold, seed), points in sorted(curves.items()):
        row = axes[weights.index(weight)]
        steps = sorted(points)
        for axis, k in zip(row, (0, 1), strict=True):
            axis.plot(steps, [points[step][k] for step in steps], label=f"fold {fold}, seed {seed}", lw=1.2, marker=".")
    for weight, row in zip(weights, axes, strict=True):
        named = f"weight {weight:g}" if weight else "weight 0, without expression"
        row[0].set(title=f"Training loss, {named}", xlabel="step")
        row[1].set(title=f"Validation score, {named}", xlabel="step", ylabel="higher is better")
        for axis in row:
            axis.grid(alpha=0.3)
            axis.tick_params(labelbottom=True)
    axes[0, 1].legend(fontsize="x-small")
    for name in ("curves.png", "curves.svg"):
        with whole_path(folder / name) as draft:
            figure.savefig(draft, format=name[-3:], dpi=120)
