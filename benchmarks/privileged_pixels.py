"""Whether RNA that is there in training only pays through pixels: simulated slides, scored against what was planted.

Trains on 50, 100 and all 320 of the demo cohort's slides that are for training, five draws of each, and tests on the 80
held back: the subtype, the attention against planted tumour, the maps of gene sets against the planted activity of
their programme. The cohort is made where it is not there; a finished cell is a line of JSON under ``--out``, and what
is there is not computed again.

    python benchmarks/privileged_pixels.py [--quick] [--out cells.jsonl] [--report docs/evidence.md]
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from _privileged_cells import SEEDS
from _privileged_pixels_cells import FOLLOWS, SIZES, Cell, Slides, plan, read_slides, run_cell, targets_of
from _privileged_report import with_intervals, write_between
from _privileged_statistics import Interval, Line, Numbers, Resamples, interval_of, scores_of
from _resumed import finished
from napari_pathlupi.core.settings import cache_folder

BASELINE, DEFAULT = "abmil", "pathlupi-anchored"
MARK = "pixels"
ROWS = (
    (DEFAULT, BASELINE),
    ("RNA of all", BASELINE),
    ("other patient", BASELINE),
    ("weight 1", BASELINE),
    ("level out", BASELINE),
    ("level out", DEFAULT),
    ("planted activities", BASELINE),
    ("mild: abmil", BASELINE),
    ("mild: pathlupi-anchored", DEFAULT),
    ("mild: pathlupi-anchored", "mild: abmil"),
)
FOUND = (
    ("attention", "attention_auprc"),
    ("chance", "attention_chance"),
    ("map, own programme", "map_own"),
    ("map, another's", "map_other"),
    ("attention as map", "map_attention"),
    ("chance", "map_chance"),
    ("within tumour, own programme", "which_own"),
    ("another's", "which_other"),
    ("attention as map", "which_attention"),
    ("chance", "which_chance"),
    ("activity, sets of programmes", "told"),
    ("other sets", "told_others"),
)


class Table:
    """Finished cells, compared with each other on the slides held back.

    Parameters
    ----------
    lines
        Of JSON.
    slides
        The cohort.
    """

    def __init__(self, lines: Sequence[Line], slides: Slides) -> None:
        self._lines: dict[tuple[int, str], dict[int, Line]] = defaultdict(dict)
        self._labels = slides.labels[slides.test]
        for line in lines:
            self._lines[line["size"], line["name"]][line["seed"]] = line

    def compare(self, size: int, name: str, against: str | None = None, right: bool = False) -> Interval | None:
        """Macro AUROC, or accuracy, or a difference of it to another variant, over the draws that both have."""
        first, second = (self._lines.get((size, one), {}) for one in (name, against or name))
        if not (seeds := sorted(first.keys() & second.keys())):
            return None
        draws = Resamples.draw(self._labels, len(seeds))
        of = accuracy_of if right else scores_of
        values, others = (of([arm[seed] for seed in seeds], self._labels, draws) for arm in (first, second))
        return interval_of(values - others if against else values, draws)

    def told(self, size: int, name: str, against: str, right: bool) -> str:
        """Return a difference in words, with the number of draws where some are missing; one alone tells nothing."""
        both = self._lines.get((size, name), {}).keys() & self._lines.get((size, against), {}).keys()
        few = f" ({len(both)} of {len(SEEDS)} draws)" if len(both) < len(SEEDS) else ""
        return with_intervals(self.compare(size, name, against, right)) + few if len(both) > 1 else ""

    def mean(self, size: int, name: str, key: str) -> float | None:
        """Mean over the draws, two or more, of a figure that a cell says."""
        found = [line[key] for line in self._lines.get((size, name), {}).values() if key in line]
        return float(np.mean(found)) if len(found) > 1 else None


def accuracy_of(lines: Sequence[Line], labels: Any, resamples: Resamples) -> Numbers:
    """Return (resamples, draws) share of the patients that are named right."""
    right = np.stack([np.argmax(line["scores"], axis=1) == labels for line in lines], axis=1)
    return np.asarray(resamples.patients @ right / len(labels))


def tables(table: Table) -> Iterator[str]:
    """Yield the lines of all tables as Markdown."""
    head = ("| | " + " | ".join(f"n = {size}" for size in SIZES) + " |", "|---|" + "---|" * len(SIZES))
    yield from ("**Subtype of 80 simulated slides held back**", "", *head)
    for right, what in ((False, "macro AUROC"), (True, "accuracy")):
        base = [table.compare(size, BASELINE, right=right) for size in SIZES]
        yield f"| gated ABMIL, {what} | " + " | ".join(f"{one.mean:.3f}" if one else "" for one in base) + " |"
        for name, against in ROWS:
            found = [table.told(size, name, against, right) for size in SIZES]
            if any(found):
                yield f"| {name} − {against}, {what} | " + " | ".join(found) + " |"
    yield from ("", "**What was planted, found** (AUPRC; the last two: correlation with measured expression)", "")
    yield "| | " + " | ".join(words for words, _ in FOUND) + " |"
    yield "|---|" + "---|" * len(FOUND)
    for size in SIZES:
        for name in dict.fromkeys((BASELINE, *(name for name, _ in ROWS))):
            means = [table.mean(size, name, key) for _, key in FOUND]
            if any(means):
                figures = " | ".join("" if one is None else f"{one:.2f}" for one in means)
                yield f"| n = {size}, {name} | {figures} |"


def transcriptomes(slides: Slides) -> Iterator[str]:
    """Yield what the targets of the training vary by, as Markdown: how much of it was planted, and can be seen."""
    yield from ("", "**What activity of gene sets varies by** (400 cases)", "")
    yield "| | first component | its correlation with the mean gene | planted, sets of programmes | other sets |"
    yield "|---|---|---|---|---|"
    mean_gene = slides.expression.mean(axis=1).to_numpy()
    for rna in ("own", "level out"):
        table = targets_of(slides, np.arange(len(slides.labels)), rna)
        left, sizes, _ = np.linalg.svd(table.to_numpy(), full_matrices=False)
        fitted = LinearRegression().fit(slides.activities, table)
        shares = r2_score(table, fitted.predict(slides.activities), multioutput="raw_values")
        follows = table.columns.isin(list(FOLLOWS))
        facts = [sizes[0] ** 2 / (sizes**2).sum(), abs(np.corrcoef(left[:, 0], mean_gene)[0, 1])]
        facts += [shares[follows].mean(), shares[~follows].mean()]
        yield f"| {'as measured' if rna == 'own' else rna} | " + " | ".join(f"{fact:.2f}" for fact in facts) + " |"


def figures(table: Table) -> dict[str, Mapping[str, float | None]]:
    """Return the figures by number of cases."""
    return {str(size): _of_size(table, size) for size in SIZES if table.compare(size, BASELINE)}


def _of_size(table: Table, size: int) -> dict[str, float | None]:
    baseline, gain = table.compare(size, BASELINE), table.compare(size, DEFAULT, BASELINE)
    right, shuffled = table.compare(size, BASELINE, right=True), table.compare(size, "other patient", BASELINE)
    said = {
        "abmil": baseline and baseline.mean,
        "abmil_accuracy": right and right.mean,
        "gain": gain and gain.mean,
        "gain_low": gain and gain.low,
        "gain_high": gain and gain.high,
        "shuffled_low": shuffled and shuffled.low,
        "shuffled_high": shuffled and shuffled.high,
    }
    names = ("attention_auprc", "attention_chance", "map_own", "map_chance", "which_own", "which_chance")
    said |= {name: table.mean(size, DEFAULT, name) for name in names}
    return {key: None if value is None else round(value, 4) for key, value in said.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50 cases, two draws, two variants")
    parser.add_argument("--cohort", type=Path, default=cache_folder() / "demo-cohort", help="made when it is not there")
    parser.add_argument("--out", type=Path, default=cache_folder() / "privileged-pixels.jsonl", help="finished cells")
    parser.add_argument("--report", type=Path, help="document whose tables are written anew; nothing is computed")
    chosen = parser.parse_args()
    slides, cells, lines = read_slides(chosen.cohort), plan(chosen.quick), finished(chosen.out)
    wanted: list[Cell] = [] if chosen.report else [cell for cell in cells if cell.digest not in lines]
    for done, cell in enumerate(wanted, start=1):
        lines[cell.digest] = run_cell(cell, chosen.cohort)
        with chosen.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(lines[cell.digest]) + "\n")
        print(f"{done} of {len(wanted)}: n = {cell.size}, draw {cell.seed}, {cell.name}", flush=True)
    table = Table([lines[cell.digest] for cell in cells if cell.digest in lines], slides)
    text = (*tables(table), *(() if chosen.quick else transcriptomes(slides)))
    if chosen.report:
        write_between(chosen.report, MARK, text)
    print("\n".join(text))
    print("RESULT " + json.dumps(figures(table) | {"quick": chosen.quick}))


if __name__ == "__main__":
    main()
