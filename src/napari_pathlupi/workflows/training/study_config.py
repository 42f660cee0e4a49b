"""What a study is made from: one frozen dataclass for each section of its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.molecular.gene_sets import MIN_GENES
from napari_pathlupi.molecular.tables import ReadingOptions
from napari_pathlupi.workflows.cases.split import SplitPlan
from napari_pathlupi.workflows.training.presets import preset
from napari_pathlupi.workflows.training.train_config import TrainConfig

UNION: Final = "union"
MEAN: Final = "mean"
HALLMARK = "hallmark"


@dataclass(frozen=True, slots=True)
class CohortPart:
    """Who the cases are, and where their features lie.

    Parameters
    ----------
    table
        CSV, TSV or Parquet with a row per case or slide: case_id, slide_id, labels, site, folds.
    bags
        Folder of features, a file per slide (TRIDENT, CLAM, STAMP and others, or .npy), or a store of `pathlupi embed`.
    case, slide, site, fold
        Columns of the table, where they are not called as usual.
    slides
        Several slides of a case: "union" makes one bag of them, "mean" averages their embeddings.
    """

    table: str = "cohort.csv"
    bags: str = "features"
    case: str = ""
    slide: str = ""
    site: str = ""
    fold: str = ""
    slides: str = UNION


@dataclass(frozen=True, slots=True)
class ExpressionPart(ReadingOptions):
    """The transcriptomes, needed to train and never to predict.

    Parameters
    ----------
    table
        Cases × genes or genes × cases (CSV, TSV, Parquet, gz); empty trains without.
    gene_sets
        "hallmark", or a file: GMT, or a table with a column per set (SurvPath, MCAT).
    min_genes
        Sets with fewer measured genes that vary are left out.
    informative
        Whether an objective that reads genes asks only for those that tell the training cases of a fold apart.
    level_out
        Whether from each case the mean of all its measured genes is taken: how deep it was sequenced is no target then.
    """

    table: str = ""
    gene_sets: str = HALLMARK
    min_genes: int = MIN_GENES
    informative: bool = False
    level_out: bool = False


@dataclass(frozen=True, slots=True)
class TaskPart:
    """What is to be predicted.

    Parameters
    ----------
    card
        The named task that this is, if it is one; `pathlupi init train --task NAME` fills the whole section.
    name
        classification, multilabel, regression, survival or cox.
    columns
        Columns of the cohort table: the label, the labels, the values; of a survival the time alone.
    classes
        Classes in their order; empty: all in the table, in the order of the alphabet.
    rename
        Class of a value of the table that is another word, as { "MSI-L" = "MSS" }.
    event, censorship
        Survival: the column of outcomes, by what its 1 means; one of the two.
    unit
        Of times (days, months, years) or values.
    settings
        Of the task, for instance { weights = "balanced" } or { bins = 4 }.
    """

    card: str = ""
    name: str = "classification"
    columns: tuple[str, ...] = ("label",)
    classes: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    event: str = ""
    censorship: str = ""
    unit: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> Endpoint:
        """Which columns of a table say it."""
        if self.name == "classification":
            return Endpoint.classification(self._one("label"), self.classes, self.rename)
        if self.name == "multilabel":
            return Endpoint.multilabel(self.columns)
        if self.name == "regression":
            return Endpoint.regression(*self.columns, unit=self.unit)
        if self.name in ("survival", "cox"):
            return Endpoint.survival(self._one("time"), event=self.event, censorship=self.censorship, unit=self.unit)
        raise SettingsError(
            f"there is no task {self.name!r}: choose classification, multilabel, regression, survival or cox."
        )

    def _one(self, what: str) -> str:
        if len(self.columns) != 1:
            raise SettingsError(f"task.columns names {len(self.columns)} columns: a {self.name} has one, the {what}.")
        return self.columns[0]


@dataclass(frozen=True, slots=True)
class FoldsPart(SplitPlan):
    """Who is learned from, chosen by and tested on. A table with columns of folds needs nothing here.

    Parameters
    ----------
    file
        An official split: Patho-Bench's k=all.tsv, folds of TCGA, a file or folder of SurvPath's.
    from_table
        Whether columns of the cohort table that state a split (fold, split, fold_0 …) count.
    """

    file: str = ""
    from_table: bool = True


@dataclass(frozen=True, slots=True)
class ModelPart:
    """What is trained.

    Parameters
    ----------
    preset
        pathlupi-anchored, pathlupi, pathlupi-paper, abmil, clam-sb, clam-mb, transmil, dsmil, mean, max, threads,
        threads-finetune or threads-abmil.
    weights
        Weights of the molecular loss that are tried; the validation cases of each fold choose. 0, the twin without
        expression, is always among them. Empty: 0 and the preset's.
    seeds
        One model is trained for each.
    """

    preset: str = "pathlupi-anchored"
    weights: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class RunPart:
    """What comes of it.

    Parameters
    ----------
    out
        Folder of the run.
    title
        What the model is called; empty: after the task.
    licence
        Of the model, in words.
    storage
        Numbers of the model on disk: float16 or float32.
    level
        Share of the cases whose truth a conformal set or interval is to hold.
    per_class
        Whether that holds within each class.
    attention
        Attention on the test cases as "parquet" or "csv"; empty: none.
    memory_gb
        Features that are kept in memory, at most; the others are read again when they are needed.
    """

    out: str = "run"
    title: str = ""
    licence: str = "not stated"
    storage: str = "float16"
    level: float = 0.9
    per_class: bool = False
    attention: str = "parquet"
    memory_gb: float = 2.0


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study: a section of its file for each field.

    Parameters
    ----------
    cohort, features, expression, task, folds, model, run
        The sections; ``features`` says what files of features do not.
    training
        Fields of `TrainConfig` that differ from the preset's.
    """

    cohort: CohortPart = field(default_factory=CohortPart)
    features: Stated = field(default_factory=Stated)
    expression: ExpressionPart = field(default_factory=ExpressionPart)
    task: TaskPart = field(default_factory=TaskPart)
    folds: FoldsPart = field(default_factory=FoldsPart)
    model: ModelPart = field(default_factory=ModelPart)
    training: Mapping[str, Any] = field(default_factory=dict)
    run: RunPart = field(default_factory=RunPart)

    def __post_init__(self) -> None:
        choices = (
            ("cohort.slides", self.cohort.slides, (UNION, MEAN)),
            ("run.storage", self.run.storage, ("float16", "float32")),
            ("run.attention", self.run.attention, ("", "parquet", "csv")),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                raise SettingsError(
                    f"{name} = {value!r} is not possible: it is one of {', '.join(map(repr, allowed))}."
                )
        if not self.model.seeds or min(*self.model.seeds, *self.model.weights, 0) < 0:
            raise SettingsError("model.seeds needs at least one seed, and neither seeds nor weights may be below 0.")
        ranges = (
            ("run.level", self.run.level, 0 < self.run.level < 1, "between 0 and 1, as 0.9 for 90 %"),
            ("run.memory_gb", self.run.memory_gb, self.run.memory_gb > 0, "above 0"),
            ("folds.seed", self.folds.seed, 0 <= self.folds.seed < 1 << 31, "between 0 and 2 billion"),
            ("expression.clip", self.expression.clip, self.expression.clip > 0, "above 0"),
        )
        for name, number, possible, words in ranges:
            if not possible:
                raise SettingsError(f"{name} = {number:g} is not possible: it is {words}.")

    @property
    def train(self) -> TrainConfig:
        """How each model is trained: the preset with what ``training`` changes.

        A slide encoder that is not the preset's has its own settings, not those that the preset gives to its own.
        """
        chosen = preset(self.model.preset).train
        return replace(replace(chosen, settings={}) if self._left_out else chosen, **self.training)

    @property
    def _left_out(self) -> Mapping[str, Any]:
        """Settings of the preset for a slide encoder that is not trained."""
        chosen = preset(self.model.preset).train
        another = self.training.get("slide_encoder", chosen.slide_encoder) != chosen.slide_encoder
        return chosen.settings if another and "settings" not in self.training else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the settings does not count, a sentence each."""
        notes = []
        if left := self._left_out:
            told = ", ".join(f"{name} = {value}" for name, value in left.items())
            words = (
                f"Settings of the preset {self.model.preset} that are for its own slide encoder are left out ({told})"
            )
            notes.append(f"{words}: {self.train.slide_encoder} has those of training.settings, or its own.")
        if self.expression.level_out and not (self.expression.table and self.train.objective):
            notes.append("expression.level_out changes nothing: no expression is learned from.")
        return tuple(notes)

    def rooted(self, folder: Path) -> "StudyConfig":
        """Return the study with its relative paths begun at a folder."""

        def full(place: str) -> str:
            return str(folder / place) if place and "://" not in place else place

        sets = self.expression.gene_sets
        return replace(
            self,
            cohort=replace(self.cohort, table=full(self.cohort.table), bags=full(self.cohort.bags)),
            expression=replace(
                self.expression,
                table=full(self.expression.table),
                probe_map=full(self.expression.probe_map),
                gene_sets=sets if sets == HALLMARK else full(sets),
            ),
            folds=replace(self.folds, file=full(self.folds.file)),
            run=replace(self.run, out=full(self.run.out)),
        )

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights that are tried, ascending, 0 among them."""
        own = self.model.weights or (self.train.weight if self.train.objective else 0.0,)
        return tuple(sorted({0.0, *own})) if self.train.objective and self.expression.table else (0.0,)
