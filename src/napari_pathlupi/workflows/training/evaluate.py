"""How good predictions are, from tables alone: figures, comparison, pictures, as files."""

from collections.abc import Sequence
from pathlib import Path

from napari_pathlupi.errors import MismatchError, SettingsError, TableError
from napari_pathlupi.evaluation.claims import read_checks
from napari_pathlupi.evaluation.clinical import clinical_baseline
from napari_pathlupi.evaluation.predicted import Survived
from napari_pathlupi.evaluation.report import Evaluation, report, tables
from napari_pathlupi.evaluation.scoring import Predictions, ScoreConfig, compare, score
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.tasks._task import PALETTE
from napari_pathlupi.workflows.training.prediction_table import Truth, clinical_columns, read_predictions

PREDICTIONS, COHORT = "predictions.csv", "cohort.csv"
"""How they are called in the folder of a training run."""


def evaluate(
    predictions: str | Path,
    cohort: str | Path = "",
    truth: Truth | None = None,
    config: ScoreConfig | None = None,
    against: str | Path = "",
    clinical: Sequence[str] = (),
) -> Evaluation:
    """Return how good a table of predictions is, and whether another, or clinical columns alone, are as good.

    Parameters
    ----------
    predictions, against
        Tables of predictions, or folders of training runs that hold one; the second may be empty.
    cohort
        The table that says what is true of the cases; may be empty for a run, which holds its own.
    truth, config
        Which of its columns say so, and how intervals are found.
    clinical
        Of a survival: columns of the cohort that Cox's model is fitted on, on the same folds; in place of ``against``.

    Raises
    ------
    TableError, MismatchError
        When a table cannot be read or does not fit (naming line and column), or two cannot be compared.
    SettingsError
        When both another table and clinical columns are to be compared.
    """
    if clinical and not cohort:
        raise SettingsError("name the table with the clinical columns after the predictions: a run's own has none.")
    truth, config = truth or Truth(), config or ScoreConfig()
    table, own = _files(Path(predictions))
    known = Path(cohort) if cohort else own
    if known is None:
        raise TableError(f"say what is true of the cases of {table.name}: give the cohort table after it.")
    found, notes = read_predictions(table, known, truth)
    other, rival, more = _rival(found, (known, truth), against, clinical)
    compared = compare(found, other, config) if other else None
    title, said = f"Evaluation of {_name(Path(predictions))}", tuple(dict.fromkeys((*notes, *more)))
    return Evaluation(title, found, score(found, config), config, compared, rival, said, read_checks(Path(predictions)))


def _rival(
    found: Predictions, true: tuple[Path, Truth], against: str | Path, clinical: Sequence[str]
) -> tuple[Predictions | None, str, Sequence[str]]:
    """With what predictions are compared, its name, and what must be said of it."""
    if against and clinical:
        raise SettingsError("compare with another table or with clinical columns, one after the other.")
    if against:
        other, notes = read_predictions(_files(Path(against))[0], *true)
        return other, _name(Path(against)), notes
    if clinical:
        if not isinstance(found.told, Survived):
            raise MismatchError("clinical columns are compared with risks, by Cox's model: these predictions are none.")
        other, said = clinical_baseline(found, clinical_columns(true[0], clinical, found.cases))
        return other, f"Cox's model of {', '.join(clinical)}", said
    return None, "", ()


def _files(place: Path) -> tuple[Path, Path | None]:
    """A table of predictions and the cohort beside it, if the place is a run."""
    if not place.exists():
        raise TableError(f"there is no {place}: give a table of predictions, or the folder of a finished run.")
    if not place.is_dir():
        return place, None
    if not (place / PREDICTIONS).is_file():
        raise TableError(
            f"{place} holds no {PREDICTIONS}: give a table of predictions, or the folder of a finished run."
        )
    return place / PREDICTIONS, place / COHORT if (place / COHORT).is_file() else None


def _name(place: Path) -> str:
    return place.resolve().name if place.is_dir() else place.name


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Write ``report.html`` and its tables as CSV into a folder that exists, and return the files.

    Raises
    ------
    OutputError
        When they cannot be written.
    """
    contents = {"report.html": report(evaluation, PALETTE)}
    for name, table in tables(evaluation).items():
        contents[f"{name}.csv"] = table.to_csv(index=False, lineterminator="\n")
    written = []
    for name, text in contents.items():
        write_whole(Path(folder) / name, text)
        written.append(Path(folder) / name)
    return written
