"""A study from files alone: cohort, bags, expression, gene sets and one file of settings in; a run folder out."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.bundle import load_bundle
from napari_pathlupi.cli import main
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, FeaturesError, MismatchError, OutputError, SettingsError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.features import features_of, predict_bag
from napari_pathlupi.workflows.training.evaluate import evaluate
from napari_pathlupi.workflows.training.run_folder import StudyLog
from napari_pathlupi.workflows.training.study import train_study, train_study_steps
from napari_pathlupi.workflows.training.study_data import study_data_steps
from napari_pathlupi.workflows.training.study_file import read_study, written
from napari_pathlupi.workflows.training.study_fold import Study, config_of
from napari_pathlupi.workflows.training.study_targets import Targets
from napari_pathlupi.workflows.training.train_batches import Schedule
from quick_study import write_study

STATED = Stated(encoder="planted", mpp=0.5, tile_px=256)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study that was trained."""
    file = write_study(tmp_path_factory.mktemp("study"))
    train_study(read_study(file))
    return file


def weights(folder: Path) -> bytes:
    return (folder / "model/weights.safetensors").read_bytes()


def test_the_command_says_that_a_finished_run_is_not_trained_again_and_what_can_be_done_with_it(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights(study.parent / "run")
    assert main(["train", str(study)]) == 0
    said = capsys.readouterr().out
    assert "was finished before, nothing was trained" in said and weights(study.parent / "run") == before
    assert "predict --features FILE --model" in said  # nobody has its patch encoder


def test_every_labelled_case_is_predicted_once_by_the_fold_that_did_not_learn_from_it(study: Path) -> None:
    run_folder = study.parent / "run"
    predictions, cohort = (pd.read_csv(run_folder / name) for name in ("predictions.csv", "cohort.csv"))
    labelled = cohort[cohort["label"].notna()]
    assert sorted(predictions["case_id"]) == sorted(labelled["case_id"]) and len(labelled) == 26
    for row in predictions.itertuples():
        assert cohort.set_index("case_id").loc[row.case_id, f"fold_{row.fold}"] == "test"
    np.testing.assert_allclose(predictions[["prob_A", "prob_B"]].sum(axis=1), 1)
    unlabelled = cohort[cohort["label"].isna()]
    assert (unlabelled[["fold_0", "fold_1"]] == "train").all(axis=None) and unlabelled["has_rna"].all()


def test_a_run_holds_what_it_was_made_from_and_what_came_of_it(study: Path) -> None:
    folder = study.parent / "run"
    assert read_study(folder / "config.toml") == read_study(study)
    attention = pd.read_parquet(folder / "attention.parquet")
    assert list(attention.columns) == ["slide_id", "y_px0", "x_px0", "side_px0", "score"]
    np.testing.assert_allclose(attention.groupby("slide_id")["score"].sum(), 1, atol=1e-5)
    assert set(attention["x_px0"]) == {0, 256} and set(attention["side_px0"]) == {256}
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert {line.get("event") for line in lines} >= {"begun", "chosen", "done"}
    assert {line["weight"] for line in lines if "loss" in line} == {0.0, 5.0}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG") and (folder / "curves.svg").stat().st_size
    assert evaluate(folder).scores[-1].cases == 26


def test_the_model_of_a_run_is_all_its_folds_with_what_is_known_of_them(study: Path) -> None:
    bundle = load_bundle(study.parent / "run/model")
    card = bundle.card
    assert (card.members, card.format, card.slides) == (2, 2, "union")
    roles = pd.read_csv(study.parent / "run/cohort.csv")[["fold_0", "fold_1"]] == "val"
    assert card.calibration["cases"] == roles.any(axis=1).sum()  # patients
    assert 0 <= card.calibration["coverage"] <= 1 and card.calibration["coverage_cases"] == 26
    assert "20 with label and RNA, 6 with label but no RNA" in card.trained_on
    low, high = card.metrics["pooled, 26 cases: value, low, high"]["AUROC"][1:]
    assert low < high
    prediction = predict_bag(features_of(study.parent / "features/case-029.h5", stated=STATED), bundle)
    assert len(prediction.answer.folds) == 2


def test_a_run_that_was_stopped_goes_on_to_the_same_model(study: Path, tmp_path: Path) -> None:
    config = read_study(study, [f'run.out="{tmp_path / "again"}"'])
    stop_at = int(np.random.default_rng().integers(5, 115))
    for progress in train_study_steps(config):
        if progress.done == stop_at:
            break
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(Cancelled):
        run(train_study_steps(config, cancel))
    assert weights(train_study(config)) == weights(study.parent / "run"), f"stopped at {stop_at}"
    names = ("predictions.csv", "cohort.csv")
    assert all((tmp_path / "again" / n).read_bytes() == (study.parent / "run" / n).read_bytes() for n in names)


def test_a_run_that_was_killed_goes_on_to_the_same_model(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "napari_pathlupi.cli", "train", str(study), "--set", f'run.out="{out}"']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while process.poll() is None and not list(out.glob("folds/fold-0/weight-5/seed-0.pt")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "model").exists()
    assert weights(train_study(read_study(study, [f'run.out="{out}"']))) == weights(study.parent / "run")


def test_a_finished_run_stays_and_another_does_not_take_its_place(study: Path, tmp_path: Path) -> None:
    before = (study.parent / "run/log.jsonl").read_text()
    train_study(read_study(study))
    assert (study.parent / "run/log.jsonl").read_text() == before
    with pytest.raises(OutputError, match="a run with other settings"):
        train_study(read_study(study, ["training.steps=21"]))
    (tmp_path / "thesis.docx").touch()
    for _ in range(2):
        with pytest.raises(OutputError, match="holds other files"):
            train_study(read_study(study, [f'run.out="{tmp_path}"']))
        (tmp_path / "config.toml").write_text("my own")  # of somebody who trains into the folder of his study
    assert (tmp_path / "config.toml").read_text() == "my own"


def test_survival_is_trained_and_predicted_on_the_command_line(tmp_path: Path, capsys) -> None:
    file = write_study(tmp_path / "study", endpoint="survival")
    assert main(["train", str(file), "--set", "run.attention=csv", "--set", "model.weights=2"]) == 0
    assert "C-index" in capsys.readouterr().out
    folder = file.parent / "run"
    assert {"case_id", "fold", "risk"} <= set(pd.read_csv(folder / "predictions.csv").columns)
    assert (folder / "attention.csv").read_text().startswith("slide_id,y_px0,x_px0,side_px0,score\n")
    flags = ["--encoder", "planted", "--mpp", "0.5", "--tile-px", "256", "--model", str(folder / "model")]
    features = str(file.parent / "features/case-000.h5")
    assert main(["predict", "--features", features, *flags, "-o", str(tmp_path / "out")]) == 0
    answer = json.loads((tmp_path / "out/case-000.json").read_text())["answer"]
    assert answer["type"] == "survival" and len(answer["folds"]) == 2


def test_a_choice_between_weights_needs_somebody_to_choose_by(study: Path, tmp_path: Path) -> None:
    changes = ["folds.validation=0", f'run.out="{tmp_path / "run"}"']
    with pytest.raises(SettingsError, match="no validation cases to choose one of the weights 0, 5 by"):
        train_study(read_study(study, changes))
    folder = train_study(read_study(study, [*changes, 'expression.table=""']))
    assert load_bundle(folder / "model").card.calibration is None


def test_settings_that_nothing_has_are_one_sentence(study: Path, tmp_path: Path) -> None:
    for change, words in (
        ("training.settings={ widht = 3 }", "abmil has no setting widht, take it from width, hidden, dropout"),
        ("task.settings={ weights = [1.0] }", "the task classification cannot be built"),
        ('task.name="classifcation"', "there is no task 'classifcation'"),
    ):
        with pytest.raises(SettingsError, match=words):
            train_study(read_study(study, [change, f'run.out="{tmp_path / "run"}"']))


def test_another_slide_encoder_than_the_presets_has_settings_of_its_own(study: Path, tmp_path: Path) -> None:
    changes = ["training.slide_encoder=mean", "training.steps=4", "training.rna_steps=2", "model.weights=[0]"]
    config = read_study(study, [*changes, f'run.out="{tmp_path / "run"}"'])
    with pytest.raises(
        SettingsError, match=r"mean has no setting width or hidden or dropout, write training.settings = {}"
    ):
        train_study(config)
    config = replace(config, training={k: v for k, v in config.training.items() if k != "settings"})
    note = run(study_data_steps(config)).notes[0]
    assert "the preset pathlupi-anchored" in note and "(dropout = 0.5): mean has those of training.settings" in note
    assert load_bundle(train_study(replace(config, run=replace(config.run, out=str(tmp_path / "own")))) / "model")
    kept = read_study(study, ["training.slide_encoder=clam-sb", "training.settings={ dropout = 0.1 }"])
    assert kept.train.settings == {"dropout": 0.1} and not kept.notes


def test_a_split_in_the_table_counts_unless_it_is_not_to(study: Path) -> None:
    table = pd.read_csv(study.parent / "cohort.csv", dtype=str)
    table.assign(split=np.where(np.arange(len(table)) % 3, "train", "test")).to_csv(study.parent / "split.csv")
    changes = ['cohort.table="split.csv"', "folds.folds=3"]
    assert len(run(study_data_steps(read_study(study, changes))).folds) == 1
    assert len(run(study_data_steps(read_study(study, [*changes, "folds.from_table=false"]))).folds) == 3


def test_slides_of_a_case_are_one_bag_or_are_averaged(study: Path) -> None:
    table = pd.read_csv(study.parent / "cohort.csv", dtype=str)
    several = table.assign(slide_id=table["case_id"])
    several.loc[several.index % 2 == 1, "case_id"] = table["case_id"].shift(1)
    several["label"] = np.where(np.arange(len(several)) // 2 % 2, "A", "B")
    several["site"] = several.groupby("case_id")["site"].transform("first")
    several.to_csv(study.parent / "several.csv", index=False)
    config = read_study(study, ['cohort.table="several.csv"'])
    union = run(study_data_steps(config))
    assert union.owners is None and {len(bag) for bag in union.bags} == {12}
    mean = run(study_data_steps(replace(config, cohort=replace(config.cohort, slides="mean"))))
    assert {len(bag) for bag in mean.bags} == {6} and len(mean.bags) == 2 * len(mean.cohort)
    bags, owners = mean.bags_of(np.array([3, 1]))
    assert list(owners) == [0, 0, 1, 1] and (bags[0] == mean.bags[6]).all()


def test_vectors_alone_are_read_from_where_they_lie_once_it_is_said_what_made_them(tmp_path: Path) -> None:
    file = write_study(tmp_path / "study")
    for h5 in sorted((file.parent / "features").glob("*.h5")):
        bag = features_of(h5, stated=STATED).features
        np.save(file.parent / "features" / f"{h5.stem}.npy", bag.astype(np.float16))
        h5.unlink()
    data = run(study_data_steps(read_study(file)))
    assert isinstance(data.bags[0], np.memmap) and data.identity.dim == 8
    with pytest.raises(FeaturesError, match=r"which encoder made its 8 numbers: give it with features\.encoder"):
        run(study_data_steps(read_study(file, ['features.encoder=""'])))
    with pytest.raises(FeaturesError, match=r"features\.mpp, and their side in such pixels with features\.tile_px"):
        run(study_data_steps(read_study(file, ["features.tile_px=0"])))
    np.save(file.parent / "features/case-000.npy", np.zeros((3, 7), np.float32))
    with pytest.raises(MismatchError, match="train on features of one encoder"):
        run(study_data_steps(read_study(file)))


def test_expression_is_scaled_on_the_training_cases_alone(study: Path, tmp_path: Path) -> None:
    data = run(study_data_steps(read_study(study)))
    targets = Targets.of(data.expression, data.gene_sets, 5, (data.cohort, data.folds), "reconstruction")
    rows = data.folds.train(0)
    values, names, sets = targets.scaled(rows)
    assert values.shape == (len(rows), 4) and names == tuple(f"SET_{k}" for k in range(4)) and not sets
    np.testing.assert_allclose(np.nanmean(values, axis=0), 0, atol=1e-9)
    genes, columns, sizes = replace(targets, by_gene=True).scaled(rows)
    assert genes.shape[1] == len(columns) == sum(sizes.values()) == 24
    some, same, _ = replace(targets, by_gene=True, told_apart=data.cohort).scaled(rows)
    asked = np.isfinite(some).any(axis=0)
    assert same == columns and 0 < asked.sum() < 24
    np.testing.assert_array_equal(some[:, asked], genes[:, asked])


def test_without_the_level_how_deep_a_case_was_sequenced_is_no_target(study: Path, tmp_path: Path) -> None:
    rna = pd.read_csv(study.parent / "rna.csv", index_col=0)
    deeper = tmp_path / "deeper.csv"
    (rna + np.arange(1, len(rna) + 1)[:, None]).to_csv(deeper)
    learned = []
    for table in (study.parent / "rna.csv", deeper):
        changes = [f'expression.table="{table}"', "expression.level_out=true"]
        data = run(study_data_steps(read_study(study, changes)))
        assert any("the mean of its measured genes was taken" in note for note in data.notes)
        targets = Targets.of(data.expression, data.gene_sets, 5, (data.cohort, data.folds), "reconstruction")
        learned.append(targets.scaled(data.folds.train(0))[0])
    np.testing.assert_allclose(*learned, atol=1e-6)


@pytest.mark.parametrize("epochs", [0, 2])
def test_the_twin_without_expression_takes_as_many_steps(study: Path, epochs: int) -> None:
    config = read_study(study, [f"training.epochs={epochs}"])
    data = run(study_data_steps(config))
    targets = Targets.of(data.expression, data.gene_sets, 5, (data.cohort, data.folds), "reconstruction")
    made = Study(config, data, targets, study.parent, StudyLog(study.parent / "no.jsonl"))
    cases, sets = made.training(data.folds.train(0))
    measured = np.isfinite(cases.targets).any(axis=1)
    assert np.isnan(cases.wanted[measured]).any()  # some have expression alone
    arm, twin = (config_of(made, (weight, 0), cases, sets) for weight in (5.0, 0.0))
    assert Schedule(cases, measured, arm).total == Schedule(cases, measured & False, twin).total


def test_members_with_and_without_expression_are_one_network(study: Path, tmp_path: Path) -> None:
    small = "{ projection = 8, tokens = 50, heads = 2 }"
    changes = ["model.preset=pathlupi", f"training.settings={small}", "training.steps=2", "model.weights=3"]
    config = read_study(study, [*changes, "model.seeds=[0, 1]", f'run.out="{tmp_path / "run"}"'])
    for seed, weight in ((0, 0.0), (1, 3.0)):
        _chosen(config, tmp_path / "run", seed, weight)
    card = load_bundle(train_study(config) / "model").card
    assert card.slide_encoder.settings["tokens"] == 4
    assert card.objective.settings["sets"] == {f"SET_{k}": 6 for k in range(4)}


def _chosen(config, folder: Path, fold: int, weight: float) -> None:
    """As if the validation cases had chosen it."""
    choice = folder / f"folds/fold-{fold}/choice.json"
    choice.parent.mkdir(parents=True, exist_ok=True)
    choice.write_text(json.dumps({"weight": weight}))
    (folder / "log.jsonl").touch()
    (folder / "config.toml").write_text(written(config))


def test_an_ensemble_of_a_run_holds_its_models_to_half_the_size(study: Path) -> None:
    bundle = load_bundle(study.parent / "run/model")
    assert {tensor.dtype for name, tensor in bundle.tensors.items() if "head" in name} == {np.dtype(np.float16)}
    assert len(Ensemble.from_bundle(bundle).models) == 2
