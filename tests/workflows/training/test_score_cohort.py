import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_files import write_h5
from napari_pathlupi.bundle import Bundle, CataloguePart, load_bundle
from napari_pathlupi.commands.score import COMMAND
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MismatchError, PathlupiError, TableError, UnstatedError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.prediction.ensemble import Ensemble, save_ensemble
from napari_pathlupi.workflows.prediction.features import features_of
from napari_pathlupi.workflows.training.evaluate import evaluate
from napari_pathlupi.workflows.training.score_cohort import ScoreCohortConfig, score_cohort
from napari_pathlupi.workflows.training.train import TrainConfig, TrainingCases, train
from quick_model import ABOUT

DIM = 8
STATED = Stated(encoder="planted", mpp=0.5, tile_px=256)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two folds with a calibration, on features of an encoder that nobody else has."""
    rng = np.random.default_rng(0)
    bags = [rng.normal(size=(6, DIM)).astype(np.float32) + i % 2 for i in range(12)]
    task = CataloguePart(name="classification", settings={"classes": ["A", "B"]})
    cases = TrainingCases(bags, EncoderIdentity("planted", "", DIM, 256, 0.5), task, np.arange(12.0)[:, None] % 2)
    config = {"slide_encoder": "mean", "objective": "", "steps": 20}
    models = tuple(train(cases, TrainConfig(seed=seed, **config)) for seed in (0, 1))
    folder = tmp_path_factory.mktemp("models") / "two"
    return save_ensemble(folder, Ensemble(models, Calibration(40, 1.5, 0.9, (0.6,)), 9.0), ABOUT, bags[0], "float32")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Ten cases, the first with two slides; one more has none."""
    rng = np.random.default_rng(1)
    (tmp_path / "bags").mkdir()
    at = {"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20}
    corners = np.stack(np.divmod(np.arange(6), 3), axis=1) * 256
    slides = [("case-0", "s0"), ("case-0", "s0b"), *[(f"case-{i}", f"s{i}") for i in range(1, 11)]]
    for case, slide in slides[:-1]:
        bag = rng.normal(size=(6, DIM)).astype(np.float32) + int(case[-1]) % 2
        write_h5(tmp_path / "bags" / f"{slide}.h5", {"features": bag, "coords": corners}, coords=at)
    table = pd.DataFrame(slides, columns=["case_id", "slide_id"])
    table["label"] = ["AB"[int(case[-1]) % 2] for case, _ in slides]
    table.to_csv(tmp_path / "cohort.csv", index=False)
    return tmp_path


def test_every_case_with_features_is_scored_by_every_fold_and_evaluated_once(bundle: Bundle, cohort: Path) -> None:
    table = score_cohort(bundle, cohort / "cohort.csv", cohort / "bags", stated=STATED)
    assert len(table) == 20 and set(table["fold"]) == {0, 1}
    assert np.allclose(table["prob_A"] + table["prob_B"], 1)
    assert table["set"].isin(["A", "B", "A|B", "B|A"]).all()
    table.to_csv(cohort / "predictions.csv", index=False)
    assert [score.cases for score in evaluate(cohort).scores] == [10, 10, 10, 10]


def test_several_slides_are_put_together_as_the_model_learned_them(
    bundle: Bundle, cohort: Path, tmp_path: Path
) -> None:
    place, several = cohort / "cohort.csv", {}
    for slides in ("union", "mean"):
        ensemble = replace(Ensemble.from_bundle(bundle), slides=slides)
        learned = save_ensemble(tmp_path / slides, ensemble, ABOUT, bundle.golden["features"], "float32")
        several[slides] = score_cohort(learned, place, cohort / "bags", stated=STATED)
        assert load_bundle(tmp_path / slides).card.slides == slides
        asked = score_cohort(bundle, place, cohort / "bags", ScoreCohortConfig(slides), STATED)
        pd.testing.assert_frame_equal(several[slides], asked)
    pd.testing.assert_frame_equal(several["union"], score_cohort(bundle, place, cohort / "bags", stated=STATED))


def test_no_label_is_needed(bundle: Bundle, cohort: Path) -> None:
    labelled = score_cohort(bundle, cohort / "cohort.csv", cohort / "bags", stated=STATED)
    pd.read_csv(cohort / "cohort.csv").drop(columns="label").to_csv(cohort / "bare.csv", index=False)
    pd.testing.assert_frame_equal(score_cohort(bundle, cohort / "bare.csv", cohort / "bags", stated=STATED), labelled)


def test_several_slides_are_one_bag_or_averaged(bundle: Bundle, cohort: Path) -> None:
    given = bundle, cohort / "cohort.csv", cohort / "bags"
    union, mean = (score_cohort(*given, ScoreCohortConfig(how), STATED) for how in ("union", "mean"))
    first = union["case_id"] == "case-0"
    pd.testing.assert_frame_equal(union[~first], mean[~first])
    # the bags are as long as each other and the encoder takes the mean: both ways are one
    assert np.allclose(union.loc[first, "prob_A"], mean.loc[first, "prob_A"])


def test_features_of_another_encoder_and_a_cohort_without_features_are_refused(bundle: Bundle, cohort: Path) -> None:
    with pytest.raises(PathlupiError, match="planted"):
        score_cohort(bundle, cohort / "cohort.csv", cohort / "bags", stated=Stated("other", mpp=0.5, tile_px=256))
    with pytest.raises(PathlupiError, match="union"):
        ScoreCohortConfig("both")
    pd.DataFrame({"case_id": ["x"], "slide_id": ["y"]}).to_csv(cohort / "other.csv", index=False)
    with pytest.raises(TableError, match="none of the 1 cases"):
        score_cohort(bundle, cohort / "other.csv", cohort / "bags", stated=STATED)


def test_vectors_alone_are_scored_only_once_it_is_said_that_the_models_encoder_made_them(
    bundle: Bundle, cohort: Path
) -> None:
    whole = score_cohort(bundle, cohort / "cohort.csv", cohort / "bags", stated=STATED)
    (cohort / "alone").mkdir()
    for file in (cohort / "bags").glob("*.h5"):
        np.save(cohort / "alone" / f"{file.stem}.npy", features_of(file, stated=STATED).features)
    given = bundle, cohort / "cohort.csv", cohort / "alone"
    pd.testing.assert_frame_equal(score_cohort(*given, stated=STATED), whole)
    with pytest.raises(UnstatedError, match="give it with --encoder"):
        score_cohort(*given)
    with pytest.raises(MismatchError, match="planted"):
        score_cohort(*given, stated=Stated("other", mpp=0.5, tile_px=256))


def test_the_command_writes_what_evaluate_reads(bundle: Bundle, cohort: Path, capsys) -> None:
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    out = cohort / "predictions.csv"
    flags = ["--model", str(bundle.folder), "-o", str(out), "--encoder", "planted", "--mpp", "0.5", "--tile-px", "256"]
    COMMAND.run(parser.parse_args([str(cohort / "cohort.csv"), str(cohort / "bags"), *flags]))
    assert "10 cases by 2 folds" in capsys.readouterr().out
    assert evaluate(out, cohort / "cohort.csv").scores[-1].cases == 10
