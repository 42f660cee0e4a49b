"""What folds claim of gene sets is held against the expression of cases that they did not learn from."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.bundle import Bundle, load_bundle
from napari_pathlupi.cli import main
from napari_pathlupi.core.claims import ClaimCheck
from napari_pathlupi.core.progress import run
from napari_pathlupi.evaluation.claims import read_checks
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.features import features_of, predict_bag
from napari_pathlupi.workflows.training.run_folder import StudyLog
from napari_pathlupi.workflows.training.study import train_study
from napari_pathlupi.workflows.training.study_claims import claims_checked
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.study_data import study_data_steps
from napari_pathlupi.workflows.training.study_file import read_study, written
from napari_pathlupi.workflows.training.study_fold import FoldResult, Study
from napari_pathlupi.workflows.training.study_targets import Targets
from quick_study import write_study

STATED = Stated(encoder="planted", mpp=0.5, tile_px=256)
LEARNS = ["training.steps=20", "training.rna_steps=60", "training.learning_rate=0.02"]
BRIEF = ["training.steps=4", "training.rna_steps=2"]


def trained(file: Path, name: str, *changes: str, weights: tuple[float, ...] = (5.0, 5.0)) -> tuple[StudyConfig, Path]:
    """A run whose validation cases chose these weights."""
    out = file.parent / name
    config = read_study(file, [*changes, f'run.out="{out}"', 'run.attention=""'])
    for fold, weight in enumerate(weights):
        choice = out / f"folds/fold-{fold}/choice.json"
        choice.parent.mkdir(parents=True)
        choice.write_text(json.dumps({"weight": weight}))
    (out / "log.jsonl").touch()
    (out / "config.toml").write_text(written(config))
    return config, train_study(config)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in which every tile shows what decides the expression."""
    file = write_study(tmp_path_factory.mktemp("study"), 70)
    for bag in (file.parent / "features").glob("*.h5"):
        with h5py.File(bag, "r+") as h5:
            h5["features"][..., 1:5] = h5["features"][0, 1:5]
    return file


@pytest.fixture(scope="module")
def learned(file: Path) -> Path:
    return trained(file, "learned", *LEARNS)[1]


@pytest.fixture(scope="module")
def bundle(learned: Path) -> Bundle:
    return load_bundle(learned / "model")


def test_a_model_that_sees_the_activity_follows_it_in_table_card_and_words(learned: Path, bundle: Bundle) -> None:
    checks = read_checks(learned)
    assert set(checks) == {f"SET_{k}" for k in range(4)}
    assert all(one.cases == 60 and one.r > 0.8 and one.follows for one in checks.values()), checks
    for name, entry in bundle.card.claims.items():
        assert ClaimCheck.of(entry).figure == checks[name].figure
    bag = features_of(learned.parent / "features/case-000.h5", stated=STATED)
    words = predict_bag(bag, bundle, gene_sets=("SET_0",)).gene_sets.maps["SET_0"].words
    assert words.endswith(checks["SET_0"].words)
    assert words.split(". ")[-1].startswith(
        "On 60 held-back cases the claim followed the measured activity with r = 0."
    )


def test_evaluation_command_card_and_train_tell_it(learned: Path, tmp_path: Path, capsys) -> None:
    assert main(["evaluate", str(learned), "-o", str(tmp_path), "--resamples", "100"]) == 0
    said = "the claimed activity followed the measured one in 4 of 4 gene sets"
    assert said in capsys.readouterr().out
    page = (tmp_path / "report.html").read_text()
    assert said in page and "<h2>Claimed and measured activity</h2>" in page
    assert main(["model", "show", str(learned / "model")]) == 0
    card = capsys.readouterr().out
    assert said in card and "| SET_0 | r 0." in card


def test_expression_of_other_patients_is_no_better_than_chance(file: Path, learned: Path, bundle: Bundle) -> None:
    rna = pd.read_csv(file.parent / "rna.csv", index_col=0)
    order = np.random.default_rng(4).permutation(len(rna))
    pd.DataFrame(rna.to_numpy()[order], rna.index, rna.columns).to_csv(file.parent / "shuffled.csv")
    config = read_study(learned / "config.toml", [f'expression.table="{file.parent / "shuffled.csv"}"'])
    checks = held_against(config, bundle, file.parent)
    assert sum(one.low <= 0 <= one.high for one in checks.values()) >= 3, checks
    assert "was no better than chance (r = " in " ".join(one.words for one in checks.values())


def held_against(config: StudyConfig, bundle: Bundle, folder: Path) -> dict[str, ClaimCheck]:
    """What the models of a bundle claim, held against a table."""
    data = run(study_data_steps(config))
    targets = Targets.of(data.expression, data.gene_sets, 5, (data.cohort, data.folds), config.train.objective)
    study, none = Study(config, data, targets, folder, StudyLog(folder / "log.jsonl")), np.zeros((0, 2))
    parts = [(data.folds.validation(fold), data.folds.test(fold)) for fold in range(len(data.folds))]
    models = Ensemble.from_bundle(bundle).models
    results = [
        FoldResult(fold, 5.0, {}, (model,), *rows, none, none)
        for fold, (model, rows) in enumerate(zip(models, parts, strict=True))
    ]
    return dict(claims_checked(study, results))


def test_expression_of_a_test_case_reaches_no_training(file: Path) -> None:
    before = trained(file, "before", *BRIEF)[1]
    rna = pd.read_csv(file.parent / "rna.csv", index_col=0)
    roles = pd.read_csv(before / "cohort.csv", index_col=0)
    tested = rna.index[roles.loc[rna.index, "fold_0"] == "test"]
    rna.loc[tested] = rna.loc[tested].to_numpy()[::-1]
    rna.to_csv(file.parent / "reversed.csv")
    _, again = trained(file, "again", *BRIEF, f'expression.table="{file.parent / "reversed.csv"}"')
    bundle, other = load_bundle(before / "model"), load_bundle(again / "model")
    same = {name: np.array_equal(bundle.tensors[name], other.tensors[name]) for name in bundle.tensors}
    assert all(alike for name, alike in same.items() if name.startswith("0/")), same
    assert not all(alike for name, alike in same.items() if name.startswith("1/"))  # learned from them
    assert other.card.claims != bundle.card.claims


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        (["model.preset=pathlupi", "training.settings={ projection = 8, tokens = 50, heads = 2 }"], True),
        (["training.objective=reconstruction-genes", "expression.informative=true"], True),
        (["training.objective=contrastive"], False),
        (["training.objective=distillation"], False),
        (['cohort.slides="mean"'], True),
    ],
    ids=["tokens", "genes", "contrastive", "distillation", "mean"],
)
def test_the_objective_decides_what_is_claimed(file: Path, changes: list[str], claims: bool) -> None:
    name = f"run-{'-'.join(changes)[:24]}".translate(str.maketrans({'"': "", "=": "-", ".": "-"}))
    _, folder = trained(file, name, *BRIEF, *changes)
    assert set(load_bundle(folder / "model").card.claims) == ({f"SET_{k}" for k in range(4)} if claims else set())
    assert (folder / "gene_sets.csv").is_file() == claims


def test_folds_without_expression_and_cases_without_it_claim_nothing_that_counts(file: Path, tmp_path: Path) -> None:
    one = read_checks(trained(file, "one", *BRIEF, weights=(0.0, 5.0))[1])
    assert {check.cases for check in one.values()} < set(range(20, 40))
    assert not read_checks(trained(file, "none", *BRIEF, weights=(0.0, 0.0))[1])
    bare = write_study(tmp_path / "bare", 30, without_rna=0)
    table = pd.read_csv(bare.parent / "cohort.csv", dtype=str)
    table["split"] = np.where(np.arange(30) < 8, "test", "train")
    table.to_csv(bare.parent / "cohort.csv", index=False)
    rna = pd.read_csv(bare.parent / "rna.csv", index_col=0)
    rna.iloc[8:].to_csv(bare.parent / "rna.csv")
    folder = trained(bare, "run", *BRIEF, weights=(5.0,))[1]
    assert not (folder / "gene_sets.csv").exists()
    bag = features_of(bare.parent / "features/case-000.h5", stated=STATED)
    prediction = predict_bag(bag, load_bundle(folder / "model"), gene_sets=("SET_0",))
    assert prediction.gene_sets.maps["SET_0"].words.endswith("It was never held against measured expression.")
