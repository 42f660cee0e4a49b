"""What is asked of embeddings: a table, the columns that say it, and a split."""

from dataclasses import dataclass

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.folds import Folds
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.workflows.cases.cohort_table import CohortColumns, read_cohort
from napari_pathlupi.workflows.cases.split_file import read_split
from napari_pathlupi.workflows.downstream.cases import DownstreamCases, join, read_slide_samples
from napari_pathlupi.workflows.downstream.downstream import Report

_AREA = ("AUROC", "AUROC (macro one-vs-rest)")
METRICS = {
    **dict.fromkeys(("auroc", "auc", "macro-ovr-auc"), _AREA),
    **dict.fromkeys(("balanced-accuracy", "bacc"), ("Balanced accuracy",)),
    **dict.fromkeys(("quadratic-kappa", "weighted-kappa", "kappa"), ("Cohen's kappa (quadratic)",)),
    **dict.fromkeys(("c-index", "cindex"), ("C-index",)),
}
"""What the paper, Patho-Bench and we call the measure that counts, and its names in a report."""


@dataclass(frozen=True, slots=True)
class DownstreamTask:
    """What is asked of embeddings.

    Parameters
    ----------
    name
        For people; Patho-Bench's are source--task.
    table
        CSV, TSV or Parquet with the labels.
    endpoint
        What is to be told, and which columns say it.
    case
        Column of the patients, "" for its usual names.
    slide
        Column of the slides where each stands for itself; "" where patients are the cases.
    splits
        File or folder of an official split; "" for what the table says, or none.
    metric
        The measure that counts, a key of `METRICS`; "" for AUROC or C-index.
    samples
        How many cases there should be, 0 if nobody says.
    """

    name: str
    table: str
    endpoint: Endpoint
    case: str = ""
    slide: str = ""
    splits: str = ""
    metric: str = ""
    samples: int = 0

    def __post_init__(self) -> None:
        if self.metric and self.metric.lower() not in METRICS:
            raise SettingsError(f"{self.name}: no measure is called {self.metric!r}; known: {', '.join(METRICS)}.")
        if self.slide and self.splits:
            raise SettingsError(
                f"{self.name}: where every slide stands for itself, the split must stand in columns fold_0, fold_1 … "
                "of its table, not in another file."
            )

    @property
    def measure(self) -> tuple[str, ...]:
        """Names, in a report, of the measure that counts."""
        return METRICS[self.metric.lower() or ("c-index" if self.endpoint.task == "survival" else "auroc")]

    def cases(self, embeddings: Embeddings) -> tuple[DownstreamCases, Folds | None]:
        """Return the cases that have label and embedding, and their official split if there is one.

        Raises
        ------
        TableError, MismatchError
            When table, split and embeddings cannot be read or do not belong together.
        """
        if self.slide:
            cohort = read_slide_samples(self.table, self.endpoint, self.slide, self.case)
        else:
            cohort = read_cohort(self.table, self.endpoint, CohortColumns(case=self.case))
        folds = read_split(self.splits, cohort) if self.splits else cohort.folds
        return join(embeddings, cohort, by_slide=bool(self.slide)), folds

    def counted(self, report: Report) -> str:
        """Return which of a report's measures counts, "" when it has none of them."""
        there = {measured.metric for measured in report.scores}
        return next((name for name in self.measure if name in there), "")
