"""Studies as TOML files."""

import runpy
import tomllib
from pathlib import Path

import pytest

from napari_pathlupi.cli import main
from napari_pathlupi.errors import NotFoundError, SettingsError
from napari_pathlupi.workflows.training.presets import PRESETS
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.study_file import read_study, study_of, written
from napari_pathlupi.workflows.training.task_cards import KINDS, task_card, task_cards


def test_a_written_file_says_what_each_setting_is_and_comes_back_the_same() -> None:
    text = written(StudyConfig())
    assert study_of(tomllib.loads(text)) == StudyConfig()
    assert "# Several slides of a case" in text and max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_can_be_written_and_read(name: str) -> None:
    config = study_of({"model": {"preset": name}, "training": {"steps": 7, "amp": ""}})
    assert study_of(tomllib.loads(written(config))) == config
    assert config.train.steps == 7
    assert config.train.slide_encoder == PRESETS[name].train.slide_encoder


def test_the_reference_of_settings_is_what_the_code_says() -> None:
    made = runpy.run_path(str(Path(__file__).parents[3] / "docs/make_config_reference.py"))
    assert made["FILE"].read_text(encoding="utf-8") == made["page"](), "run: python docs/make_config_reference.py"


def test_the_twin_without_expression_is_always_tried() -> None:
    with_rna = {"expression": {"table": "rna.csv"}}
    assert study_of(with_rna).weights == (0.0, 5.0)
    assert study_of({**with_rna, "model": {"weights": [3, 10]}}).weights == (0.0, 3.0, 10.0)
    assert study_of({}).weights == (0.0,)
    assert study_of({**with_rna, "model": {"preset": "abmil"}}).weights == (0.0,)


def test_a_level_to_take_out_is_told_of_where_no_expression_is_learned_from() -> None:
    level = {"level_out": True}
    assert study_of({"expression": {**level, "table": "rna.csv"}}).notes == ()
    for idle in ({"expression": level}, {"expression": {**level, "table": "rna.csv"}, "model": {"preset": "abmil"}}):
        assert study_of(idle).notes == ("expression.level_out changes nothing: no expression is learned from.",)


def test_paths_begin_at_the_folder_of_the_file_and_settings_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('[cohort]\ntable = "a.csv"\n')
    config = read_study(tmp_path / "study.toml", ["run.out=elsewhere", "folds.folds=3", "task.classes=['A', 'B']"])
    assert config.cohort.table == str(tmp_path / "a.csv") and config.run.out == str(tmp_path / "elsewhere")
    assert (config.folds.folds, config.task.classes, config.expression.gene_sets) == (3, ("A", "B"), "hallmark")


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"cohrt": {}}, "did you mean 'cohort'"),
        ({"training": {"step": 5}}, "did you mean 'steps'"),
        ({"training": {"steps": "many"}}, "'many' is not possible, it is like 700"),
        ({"training": {"amp": "bf16"}}, "is for CUDA, the device is cpu"),
        ({"training": {"steps": -1}}, "give 0 or more"),
        ({"cohort": 3}, r"write \[cohort\]"),
        ({"cohort": {"slides": "max"}}, "one of 'union', 'mean'"),
        ({"model": {"seeds": []}}, "at least one seed"),
        ({"folds": {"by_site": 1}}, "is not possible, it is like False"),
        ({"model": {"seeds": ["a"]}}, "seeds = 'a' is not possible, it is like 0"),
        ({"model": {"weights": ["a"]}}, "weights = 'a' is not possible"),
        ({"task": {"columns": [1]}}, "columns = 1 is not possible"),
        ({"features": {"mpp": "wide"}}, "mpp = 'wide' is not possible"),
        ({"run": {"level": 90}}, "run.level = 90 is not possible: it is between 0 and 1"),
        ({"folds": {"seed": -1}}, "folds.seed = -1 is not possible"),
        ({"model": {"seeds": [-1]}}, "may be below 0"),
        ({"training": {"learning_rate": -1}}, "give a number above 0"),
    ],
)
def test_what_is_not_understood_is_named(sections: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        study_of(sections)


def test_an_unreadable_file_and_an_unknown_preset_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("[cohort\n")
    for file in (tmp_path / "study.toml", tmp_path / "none.toml"):
        with pytest.raises(SettingsError, match="cannot be read as a study"):
            read_study(file)
    with pytest.raises(SettingsError, match=r"write section\.key=value"):
        (tmp_path / "empty.toml").touch()
        read_study(tmp_path / "empty.toml", ["steps=3"])
    with pytest.raises(NotFoundError, match="did you mean 'abmil'"):
        study_of({"model": {"preset": "abml"}})


def test_init_writes_a_file_once(tmp_path: Path, capsys) -> None:
    file = tmp_path / "study.toml"
    assert main(["init", "train", "-o", str(file), "--task", "brca-pam50", "--preset", "abmil"]) == 0
    assert "normal-like has no label" in capsys.readouterr().out
    config = read_study(file)
    assert (config.task.card, config.model.preset, config.task.rename["BRCA_LumA"]) == ("brca-pam50", "abmil", "LumA")
    assert main(["init", "train", "-o", str(file)]) == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert main(["init", "train", "--task", "brca-pam5"]) == 2
    assert "did you mean 'brca-pam50'" in capsys.readouterr().err


def test_the_named_tasks_are_those_of_the_paper() -> None:
    cards = task_cards()
    counts = {kind: sum(card.kind == kind for card in cards.values()) for kind in KINDS}
    assert counts == {"biomarker": 17, "subtype": 7, "survival": 13, "external": 1}
    for name, card in cards.items():
        config = study_of({"task": card.settings})
        assert config.task.card == name and config.task.endpoint.columns
        assert card.source and card.derive and card.known and card.cohorts
        assert card.task == "survival" or len(card.classes) >= 2


def test_cards_fit_the_table_they_name(shared_data: Path) -> None:
    from napari_pathlupi.workflows.cases.cohort_table import read_cohort

    table = shared_data / "labels/tcga_pancanatlas_clinical_subtypes.tsv.gz"
    expected = {"CIN": 328, "GS": 58, "MSI": 63, "POLE": 10}
    cohort = read_cohort(table, study_of({"task": task_card("crc-subtype").settings}).task.endpoint)
    labels = cohort.wanted[:, 0]
    assert {c: int((labels == i).sum()) for i, c in enumerate(cohort.endpoint.classes)} == expected
    survival = read_cohort(table, study_of({"task": task_card("brca-survival").settings}).task.endpoint)
    assert survival.labelled.sum() > 10_000 and set(survival.wanted[survival.labelled, 1]) == {0.0, 1.0}
