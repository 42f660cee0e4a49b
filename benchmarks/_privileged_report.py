"""Tables of finished cells: absolute figures of the baseline, differences of all else to it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from _privileged_cells import SIZES
from _privileged_statistics import Interval, Line, Resamples, c_index_of, interval_of, scores_of
from _privileged_world import read_real
from napari_pathlupi.molecular.expression import GeneSetScale, level_out
from napari_pathlupi.molecular.gene_sets import hallmark

Costs = Mapping[str, float | None]
BASELINE, DEFAULT, TWIN = "abmil", "pathlupi-anchored", "pathlupi-anchored, weight 0"
ROWS = (
    ("clam-sb", BASELINE),
    ("transmil", BASELINE),
    (DEFAULT, BASELINE),
    (TWIN, BASELINE),
    (DEFAULT, TWIN),
    ("its weight chosen inside", BASELINE),
    ("RNA of all", BASELINE),
    ("pathlupi", BASELINE),
    ("pathlupi", "pathlupi, weight 0"),
    ("contrastive", BASELINE),
    ("distillation", BASELINE),
)
CONTROLS = (
    ("other patient", BASELINE),
    ("same class", BASELINE),
    ("random sets", BASELINE),
    ("half without RNA", BASELINE),
    ("level out", BASELINE),
    ("level out", DEFAULT),
    ("weight 1", BASELINE),
    (DEFAULT, BASELINE),
    ("weight 20", BASELINE),
    ("label world: pathlupi-anchored", "label world: abmil"),
    ("label world: its weight chosen inside", "label world: abmil"),
    ("decoys: pathlupi-anchored", "decoys: abmil"),
)
PLATEAU = (("abmil, 3 x steps", BASELINE), ("pathlupi-anchored, 3 x steps", "abmil, 3 x steps"))


class Table:
    """Finished cells, compared with each other.

    Parameters
    ----------
    lines
        Of JSON.
    data
        Folder of the real tables.
    """

    def __init__(self, lines: Sequence[Line], data: Path) -> None:
        self._lines: dict[tuple[str, int, str], dict[int, Line]] = defaultdict(dict)
        self._data = data
        for line in lines:
            self._lines[line["cohort"], line["size"], line["name"]][line["seed"]] = line
        for prefix in ("", "label world: "):
            for cohort, size, _ in [key for key in self._lines if key[2] == f"{prefix}choice"]:
                self._add_chosen(cohort, size, prefix)

    def _add_chosen(self, cohort: str, size: int, prefix: str) -> None:
        """The arm that the inner validation of each world chose."""
        choices = self._lines[cohort, size, f"{prefix}choice"]
        for seed, choice in choices.items():
            arm = self._lines[cohort, size, prefix + (DEFAULT if choice["weight"] else BASELINE)].get(seed)
            if arm:
                self._lines[cohort, size, f"{prefix}its weight chosen inside"][seed] = arm

    def has(self, cohort: str, size: int, name: str) -> bool:
        """Whether any world of it is finished."""
        return bool(self._lines.get((cohort, size, name)))

    def lines(self, cohort: str, size: int, name: str) -> list[Line]:
        """The finished worlds."""
        return [line for _, line in sorted(self._lines.get((cohort, size, name), {}).items())]

    def compare(self, cohort: str, size: int, name: str, against: str | None = None) -> Interval | None:
        """AUROC, or C-index, of a variant or its difference to another in the worlds that both have finished."""
        first, second = (self._lines.get((cohort, size, one), {}) for one in (name, against or name))
        seeds = sorted(first.keys() & second.keys())
        if not seeds:
            return None
        real = read_real(cohort, self._data)
        draws = Resamples.draw(real.labels, len(seeds))

        def values(arm: Mapping[int, Line]) -> Any:
            lines = [arm[seed] for seed in seeds]
            if name.startswith("survival"):
                return c_index_of(lines, real.survival, draws)
            return scores_of(lines, real.labels, draws)

        return interval_of(values(first) - values(second) if against else values(first), draws)

    def attention(self, cohort: str, size: int, name: str, key: str = "attention_auprc") -> float | None:
        """Mean over the worlds of how well the attention finds the tiles that carry, or its chance level."""
        found = [line[key] for line in self.lines(cohort, size, name) if line[key] is not None]
        return float(np.mean(found)) if found else None


def figures(lines: Sequence[Line], data: Path) -> dict[str, Any]:
    """Return the figures of both cohorts, by cohort and size."""
    table, told = Table(lines, data), dict[str, Any]()
    for cohort, sizes in SIZES.items():
        measured = [size for size in sizes if table.has(cohort, size, BASELINE)]
        told[cohort] = {str(size): _of_size(table, cohort, size) for size in measured} or None
    return told


def _of_size(table: Table, cohort: str, size: int) -> dict[str, float | None]:
    baseline = table.compare(cohort, size, BASELINE)
    gain = table.compare(cohort, size, DEFAULT, BASELINE)
    over_twin = table.compare(cohort, size, DEFAULT, TWIN)
    shuffled = table.compare(cohort, size, "other patient", BASELINE)
    told = {
        "abmil": baseline and baseline.mean,
        "gain": gain and gain.mean,
        "gain_low": gain and gain.low,
        "gain_high": gain and gain.high,
        "gain_over_twin": over_twin and over_twin.mean,
        "gain_over_twin_low": over_twin and over_twin.low,
        "gain_over_twin_high": over_twin and over_twin.high,
        "shuffled_low": shuffled and shuffled.low,
        "shuffled_high": shuffled and shuffled.high,
        "attention_auprc": table.attention(cohort, size, DEFAULT),
        "attention_chance": table.attention(cohort, size, DEFAULT, "attention_chance"),
    }
    return {key: None if value is None else round(value, 4) for key, value in told.items()}


def tables(lines: Sequence[Line], data: Path) -> Iterator[str]:
    """Yield the lines of all tables as Markdown."""
    table = Table(lines, data)
    for title, rows in (("Variants", ROWS), ("Controls", CONTROLS), ("Plateau", PLATEAU)):
        for cohort, sizes in SIZES.items():
            shown = [
                size
                for size in sizes
                if any(table.has(cohort, size, a) and table.has(cohort, size, b) for a, b in rows)
            ]
            if shown:
                yield from _differences(table, f"{title}, {cohort}", cohort, shown, rows)
    yield from _attention(table)
    yield from _choices(table)
    yield from _survival(table)
    yield from _varies_by(data)
    seconds = sum(line["cpu_s"] for line in lines)
    yield f"{len(lines)} cells, {seconds / 3600:.1f} core-hours."


def _differences(
    table: Table, title: str, cohort: str, sizes: Sequence[int], rows: Sequence[tuple[str, str]]
) -> Iterator[str]:
    yield from (f"**{title}**", "", "| | " + " | ".join(f"n = {size}" for size in sizes) + " |")
    yield "|---|" + "---|" * len(sizes)
    baseline = [table.compare(cohort, size, BASELINE) for size in sizes]
    yield "| gated ABMIL, macro AUROC | " + " | ".join(f"{b.mean:.3f}" if b else "" for b in baseline) + " |"
    for name, against in rows:
        found = [table.compare(cohort, size, name, against) for size in sizes]
        if any(found):
            than = "" if against == BASELINE else f" − {against}"
            yield f"| {name}{than} | " + " | ".join(map(with_intervals, found)) + " |"
    yield ""


def with_intervals(interval: Interval | None) -> str:
    """Return a difference with its intervals, bold where the first excludes 0."""
    if interval is None:
        return ""
    clear = "**" if interval.low > 0 or interval.high < 0 else ""
    told = f"{clear}{interval.mean:+.3f}{clear} [{interval.low:+.3f}, {interval.high:+.3f}]"
    return f"{told} t [{interval.t_low:+.3f}, {interval.t_high:+.3f}]"


def _attention(table: Table) -> Iterator[str]:
    yield from ("**Attention on the tiles that carry, AUPRC**", "", "| | abmil | pathlupi-anchored | chance |")
    yield "|---|---|---|---|"
    for cohort, sizes in SIZES.items():
        for size in sizes:
            found = [table.attention(cohort, size, name) for name in (BASELINE, DEFAULT)]
            chance = table.attention(cohort, size, BASELINE, "attention_chance")
            told = " | ".join("" if one is None else f"{one:.2f}" for one in (*found, chance))
            if any(found):
                yield f"| {cohort}, n = {size} | {told} |"
    yield ""


def _choices(table: Table) -> Iterator[str]:
    if not any(table.has(cohort, size, "choice") for cohort, sizes in SIZES.items() for size in sizes):
        return
    yield from (
        "**Worlds in which inner validation chose expression**",
        "",
        "| | expression | label alone |",
        "|---|---|---|",
    )
    for cohort, sizes in SIZES.items():
        for size in sizes:
            cells = [table.lines(cohort, size, name) for name in ("choice", "label world: choice")]
            told = [f"{sum(line['weight'] > 0 for line in one)} of {len(one)}" if one else "" for one in cells]
            if any(told):
                yield f"| {cohort}, n = {size} | {told[0]} | {told[1]} |"
    yield ""


def _survival(table: Table) -> Iterator[str]:
    both = [table.compare("pam50", 400, f"survival: {name}") for name in (BASELINE, DEFAULT)]
    if all(both):
        told = [f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in both if one]
        yield f"Overall survival of the same patients, n = 400, C-index: ABMIL {told[0]}, anchored {told[1]}."
        yield ""


def _varies_by(data: Path) -> Iterator[str]:
    """What the targets of the training vary by in the real transcriptomes, and how much of it the classes tell."""
    yield from ("**What activity of gene sets varies by, all patients**", "")
    yield "| | first component | its correlation with the mean gene | variance that the classes tell, mean over sets |"
    yield "|---|---|---|---|"
    for cohort in SIZES:
        real = read_real(cohort, data)
        mean_gene, of_class = real.expression.mean(axis=1), np.eye(len(real.classes))[real.labels]
        for words, table in (("as measured", real.expression), ("level out", level_out(real.expression))):
            targets = GeneSetScale.fit(table, hallmark()).apply(table).to_numpy()
            left, sizes, _ = np.linalg.svd(targets, full_matrices=False)
            class_means = of_class @ (of_class.T @ targets / of_class.sum(axis=0)[:, None])
            facts = [sizes[0] ** 2 / (sizes**2).sum(), abs(np.corrcoef(left[:, 0], mean_gene)[0, 1])]
            facts += [class_means.var(axis=0).mean()]
            yield f"| {cohort}, {words} | " + " | ".join(f"{fact:.2f}" for fact in facts) + " |"
    yield ""


def print_tables(lines: Sequence[Line], data: Path, costs: Costs) -> None:
    """Print all tables."""
    print("\n".join((*tables(lines, data), *_spent(costs))))


def _spent(costs: Costs) -> Iterator[str]:
    anchored, literal, memory = (costs[key] for key in costs)
    if anchored is not None:
        yield ""
        yield (
            f"A training step at 2,000 tiles × 512 costs {anchored:.2f} times that of gated ABMIL of the same widths "
            f"(literal PathLUPI: {literal:.1f} times); reading a million tiles takes {memory:.0f} MB over the features."
        )


def write_tables(path: Path, lines: Sequence[Line], data: Path, costs: Costs) -> None:
    """Write the tables between their marks in a document."""
    write_between(path, "tables", (*tables(lines, data), *_spent(costs)))


def write_between(path: Path, mark: str, told: Iterable[str]) -> None:
    """Replace what stands between two marks in a document."""
    begin, end, text = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->", path.read_text(encoding="utf-8")
    before, after = text.split(begin)[0], text.split(end)[1]
    path.write_text("\n".join((f"{before}{begin}", *told, f"{end}{after}")), encoding="utf-8")
