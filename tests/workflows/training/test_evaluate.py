import argparse
import base64
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from napari_pathlupi.commands.evaluate import COMMAND
from napari_pathlupi.errors import PathlupiError, TableError
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Survived, Valued
from napari_pathlupi.evaluation.report import tables
from napari_pathlupi.evaluation.scoring import ScoreConfig
from napari_pathlupi.tasks._task import Task
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.tasks.cox import Cox
from napari_pathlupi.tasks.multilabel import Multilabel
from napari_pathlupi.tasks.regression import Regression
from napari_pathlupi.tasks.survival import Survival
from napari_pathlupi.workflows.training.evaluate import evaluate, write_evaluation
from napari_pathlupi.workflows.training.prediction_table import Truth, read_predictions

QUICK = ScoreConfig(resamples=100)
CLASSES = ["Luminal <A>", "Basal", "HER$2_^$"]
LABELS = np.arange(60) % 3
CASES = [f"TCGA-AB-{i:04d}" for i in range(60)]


def chances(seed: int, sureness: float = 1.5) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(60, 3)) + sureness * np.eye(3)[LABELS]
    return (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).round(4)


def predicted(seed: int = 0) -> pd.DataFrame:
    table = pd.DataFrame(chances(seed), columns=[f"prob_{name}" for name in CLASSES])
    table.insert(0, "case_id", [f"{case}-01Z-00-DX1" for case in CASES])
    return table.assign(fold=np.arange(60) // 20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    cohort = pd.DataFrame({"case_id": CASES, "label": np.array(CLASSES)[LABELS]})
    cohort = cohort.assign(time=rng.exponential(30, 60).round(1) + 1, event=np.arange(60) % 2, Purity=np.arange(60.0))
    cohort = cohort.assign(TP53=rng.integers(0, 2, 60), MSI=rng.integers(0, 2, 60))
    cohort.to_csv(tmp_path / "cohort.csv", index=False)
    predicted().to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path


def save(folder: Path, table: pd.DataFrame) -> Path:
    table.to_csv(folder / "other.csv", index=False)
    return folder / "other.csv"


def test_a_table_and_a_cohort_are_enough_for_report_and_tables(folder):
    found = evaluate(folder / "predictions.csv", folder / "cohort.csv", config=QUICK)
    files = write_evaluation(found, folder)
    assert [file.name for file in files] == ["report.html", "figures.csv", "confusion.csv"]
    figures = pd.read_csv(folder / "figures.csv").set_index(["part", "measure"])
    assert set(figures.index.levels[0]) == {"0", "1", "2", "mean of folds", "pooled"}
    exact = chances(0) / chances(0).sum(1, keepdims=True)
    expected = roc_auc_score(LABELS, exact, multi_class="ovr")
    assert figures.loc[("pooled", "AUROC (macro one-vs-rest)"), "value"] == pytest.approx(expected)
    assert pd.read_csv(folder / "confusion.csv").set_index("true").to_numpy().sum() == 60


def test_the_report_needs_nothing_from_outside_and_no_word_becomes_markup(folder):
    write_evaluation(evaluate(folder, config=QUICK), folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=\s*\"(?!data:)|url\(|@import|<script", page)
    assert "Luminal &lt;A&gt;" in page and "<A>" not in page
    assert "Research use only" in page
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert len(pictures) == 4
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)


def test_a_run_is_evaluated_with_its_own_cohort_and_against_another(folder):
    other = save(folder, predicted(7).drop(columns="fold").iloc[5:])
    found = evaluate(folder, against=other, config=QUICK)
    assert found.comparison is not None
    assert (found.comparison.cases, found.comparison.only_first) == (55, 5)
    assert set(found.comparison.delong) == set(CLASSES)
    assert len(tables(found)["comparison"]) == len(found.comparison.differences) + 3


def test_risks_are_parted_and_tested(folder):
    table = pd.DataFrame({"case_id": CASES, "risk": np.random.default_rng(2).normal(size=60)})
    found = evaluate(save(folder, table), folder / "cohort.csv", Truth(unit="months"), QUICK)
    assert 0 < found.scores[-1].figures["C-index"].value < 1
    write_evaluation(found, folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "log-rank test p" in page and "the median risk of these cases" in page


def test_the_unit_of_times_is_stated_or_said_by_the_cohort(folder):
    table = save(folder, pd.DataFrame({"case_id": CASES, "risk": np.arange(60.0)}))
    cohort = pd.read_csv(folder / "cohort.csv")

    def unit(truth: Truth) -> str:
        return read_predictions(table, folder / "cohort.csv", truth)[0].told.unit

    assert unit(Truth()) == ""
    assert unit(Truth(unit="weeks")) == "weeks"
    cohort.assign(time_unit="months").to_csv(folder / "cohort.csv", index=False)
    assert unit(Truth()) == "months"
    cohort.assign(OS_days=cohort["time"]).to_csv(folder / "cohort.csv", index=False)
    assert unit(Truth(time="OS_days")) == "days"


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        (Classification(CLASSES), Classified),
        (Multilabel(["TP53", "MSI"]), Labelled),
        (Regression(["Purity"], "%", [30.0], [17.0], [0.0], [59.0]), Valued),
        (Survival(times=[5, 20, 40, 90]), Survived),
        (Cox(), Survived),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Task) else "",
)
def test_the_columns_of_every_task_s_answers_are_understood(folder, task, kind):
    outputs = torch.randn(60, task.outputs, generator=torch.Generator().manual_seed(0))
    rows = [{"case_id": case, **task.answer(row).columns()} for case, row in zip(CASES, outputs, strict=True)]
    truth = Truth(column="none") if kind is Labelled else Truth()
    assert isinstance(read_predictions(save(folder, pd.DataFrame(rows)), folder / "cohort.csv", truth)[0].told, kind)


def test_censorship_is_the_opposite_of_an_event(folder):
    table = save(folder, pd.DataFrame({"case_id": CASES, "risk": np.arange(60.0)}))
    event = read_predictions(table, folder / "cohort.csv", Truth(event="event"))[0].told
    opposite = read_predictions(table, folder / "cohort.csv", Truth(censorship="event"))[0].told
    assert np.array_equal(event.events, ~opposite.events)
    with pytest.raises(TableError, match="once"):
        Truth(event="a", censorship="b")


def test_labels_with_columns_of_their_own_and_values_are_told_by_their_names(folder):
    table = pd.DataFrame({"case_id": CASES, "prob_TP53": 0.4, "prob_MSI": np.linspace(0, 1, 60)})
    found = evaluate(save(folder, table), folder / "cohort.csv", Truth(column="none"), QUICK)
    assert {"AUROC of TP53", "AUROC of MSI"} < set(found.scores[-1].figures)
    sets = np.array(["no", "yes", "yes|no"])[np.arange(60) % 3]
    told = evaluate(
        save(folder, table.assign(set_TP53=sets, set_MSI=sets)), folder / "cohort.csv", Truth("none"), QUICK
    )
    truth = pd.read_csv(folder / "cohort.csv")["TP53"].map({0: "no", 1: "yes"})
    held = np.mean([one in row.split("|") for one, row in zip(truth, sets, strict=True)])
    figures = told.scores[-1].figures
    assert figures["Coverage of the sets of TP53"].value == pytest.approx(held)
    assert figures["Share of decided cases (mean of labels)"].value == pytest.approx(2 / 3)
    with pytest.raises(TableError, match="line 2, column set_TP53: 'maybe' is none of no, yes"):
        evaluate(
            save(folder, table.assign(set_TP53="maybe", set_MSI="no")), folder / "cohort.csv", Truth("none"), QUICK
        )
    table = pd.DataFrame({"case_id": CASES, "value_Purity": np.arange(60.0) + 1})
    found = evaluate(save(folder, table), folder / "cohort.csv", config=QUICK)
    assert found.scores[-1].figures["Mean absolute error"].value == pytest.approx(1)
    write_evaluation(found, folder)


def test_the_same_cases_by_every_fold_count_once(folder):
    tables = [predicted(seed).assign(fold=seed) for seed in range(3)]
    found = evaluate(save(folder, pd.concat(tables)), folder / "cohort.csv", config=QUICK)
    assert [score.cases for score in found.scores] == [60] * 5


def test_sets_are_read_and_scored(folder):
    table = predicted().assign(set=["|".join(CLASSES[:2])] * 60)
    figures = evaluate(save(folder, table), folder / "cohort.csv", config=QUICK).scores[-1].figures
    assert figures["Coverage of the sets"].value == pytest.approx(2 / 3)
    assert figures["Classes in a set"].value == 2


def test_a_colleague_s_table_with_semicolons_and_commas_is_read(folder):
    table = predicted().rename(columns={"case_id": "Case_ID "})
    text = table.to_csv(index=False, sep=";", decimal=",")
    (folder / "other.csv").write_text("\ufeff" + text, encoding="utf-8")
    same = evaluate(folder / "other.csv", folder / "cohort.csv", config=QUICK).scores
    assert same == evaluate(folder / "predictions.csv", folder / "cohort.csv", config=QUICK).scores


def test_cases_without_a_label_or_a_prediction_are_counted(folder):
    cohort = pd.read_csv(folder / "cohort.csv")
    cohort.loc[3, "label"] = "NA"
    cohort.iloc[2:].to_csv(folder / "cohort.csv", index=False)
    table = save(folder, predicted().iloc[:50])
    predictions, notes = read_predictions(table, folder / "cohort.csv")
    assert len(predictions.names) == 47
    assert "47 are evaluated; 2 are not in cohort.csv; 1 have no label there; 10 cases" in notes[0]


def spoiled(name: str) -> pd.DataFrame:
    table = predicted()
    first = f"prob_{CLASSES[0]}"
    if name == "twice":
        return pd.concat([table, table.iloc[3:4].assign(prob_Basal=0.0)])
    if name == "above 1":
        table.loc[4, first] = 1.2
    if name == "sum":
        table.loc[4, first] = 0.999
        table.loc[4, "prob_Basal"] = 0.999
    if name == "missing":
        table.loc[4, first] = np.nan
    if name == "strangers":
        table["case_id"] = [f"case {i}" for i in range(60)]
    if name == "nothing":
        return table[["case_id", "fold"]]
    if name == "set":
        table["set"] = "Basal|LumX"
    return table.rename(columns={"case_id": "who"}) if name == "no case" else table


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("twice", "lines 5 and 62: the case TCGA-AB-0003 of the fold 0 is there twice"),
        ("above 1", r"line 6, column prob_Luminal <A>: 1.2 is no probability"),
        ("sum", "line 6: the probabilities of the classes sum to"),
        ("missing", "line 6, column prob_Luminal <A>: nothing was predicted there"),
        ("strangers", "are they named alike"),
        ("nothing", "has no predictions"),
        ("set", "'LumX' is none of the classes"),
        ("no case", "no column case_id"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_line_and_column(folder, name, words):
    with pytest.raises(TableError, match=re.compile(words.replace("(", r"\("))):
        evaluate(save(folder, spoiled(name)), folder / "cohort.csv", config=QUICK)


def test_clinical_columns_of_the_cohort_are_a_baseline_on_the_same_folds(folder):
    cohort = pd.read_csv(folder / "cohort.csv")
    cohort.assign(Stage=np.where(cohort["time"] > 30, "I", "IV"), Age=["", *map(str, range(59))]).to_csv(
        folder / "cohort.csv", index=False
    )
    table = save(folder, pd.DataFrame({"case_id": CASES, "fold": np.arange(60) % 3, "risk": np.arange(60.0)}))
    found = evaluate(table, folder / "cohort.csv", config=QUICK, clinical=("stage", "Age"))
    assert found.against == "Cox's model of stage, Age"
    assert found.comparison.differences["C-index"].second > 0.7  # the stage tells the time
    assert "Age is unknown in 1 of 60 cases, which count as average." in found.notes
    write_evaluation(found, folder)
    with pytest.raises(PathlupiError, match="one after the other"):
        evaluate(table, folder / "cohort.csv", against=table, clinical=("Age",))
    with pytest.raises(TableError, match="no column 'Grade'"):
        evaluate(table, folder / "cohort.csv", clinical=("Grade",))


def test_the_command_prints_the_figures_and_names_the_files(folder, capsys):
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    out = folder / "evaluation"
    COMMAND.run(parser.parse_args([str(folder), "-o", str(out), "--resamples", "100", "--against", str(folder)]))
    said = capsys.readouterr().out
    assert "AUROC (macro one-vs-rest)" in said and "comparison.csv" in said
    assert "Against " in (out / "report.html").read_text(encoding="utf-8")
    with pytest.raises(PathlupiError, match="give the cohort table"):
        COMMAND.run(parser.parse_args([str(folder / "predictions.csv"), "-o", str(out)]))
