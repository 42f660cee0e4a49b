"""Protocols on cases: the same numbers as scikit-learn and scikit-survival, and nothing left out silently."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    mutual_info_score,
    roc_auc_score,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from downstream_cases import EMBEDDINGS, FEW, KIND, OS, THIRDS, cases_of, values_of
from downstream_data import CLASSES, EVENTS, KINDS, NAMES, TIMES, VECTORS, write_rows
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.evaluation.few_shot import few_shot_rows
from napari_pathlupi.workflows.downstream.config import DownstreamConfig, RetrievalSettings
from napari_pathlupi.workflows.downstream.downstream import folds_of, sides
from napari_pathlupi.workflows.downstream.probing import probe
from napari_pathlupi.workflows.downstream.prompting import prompt
from napari_pathlupi.workflows.downstream.retrieval import clusters, retrieve
from napari_pathlupi.workflows.downstream.task import DownstreamTask


def test_the_linear_probe_scores_what_scikit_learn_scores_fold_by_fold(tmp_path: Path) -> None:
    report = probe(cases_of(tmp_path), THIRDS, FEW)
    areas, accuracies, kappas = [], [], []
    for _, train, test in sides(THIRDS):
        model = LogisticRegression(C=0.5, max_iter=10_000, class_weight="balanced").fit(VECTORS[train], CLASSES[train])
        areas.append(roc_auc_score(CLASSES[test], model.predict_proba(VECTORS[test]), multi_class="ovr"))
        accuracies.append(balanced_accuracy_score(CLASSES[test], model.predict(VECTORS[test])))
        kappas.append(cohen_kappa_score(CLASSES[test], model.predict(VECTORS[test]), weights="quadratic"))
    assert values_of(report) == pytest.approx(
        {
            "AUROC (macro one-vs-rest)": np.mean(areas),
            "Balanced accuracy": np.mean(accuracies),
            "Cohen's kappa (quadratic)": np.mean(kappas),
        }
    )


def test_the_survival_probe_scores_what_scikit_survival_scores_fold_by_fold(tmp_path: Path) -> None:
    report = probe(cases_of(tmp_path, OS), THIRDS, FEW)
    truth = Surv.from_arrays(EVENTS, TIMES.round(1))
    each = []
    for _, train, test in sides(THIRDS):
        model = CoxnetSurvivalAnalysis(alphas=[0.07], l1_ratio=0.5, max_iter=10_000).fit(VECTORS[train], truth[train])
        each.append(model.score(VECTORS[test], truth[test]))
    assert report.scores[0].folds == pytest.approx(each)
    assert report.settings["alpha"] == 0.07
    assert FEW.alpha_for(Endpoint.survival("PFS_days", event="PFS_event")) == 0.01
    assert replace(FEW, alpha=0.02).alpha_for(OS) == 0.02


def test_retrieval_looks_test_slides_up_among_training_slides_by_hand(tmp_path: Path) -> None:
    report = retrieve(cases_of(tmp_path), THIRDS, RetrievalSettings(resamples=100))
    for k in (1, 5, 10):
        each = []
        for _, train, test in sides(THIRDS):
            order = cdist(VECTORS[test], VECTORS[train]).argsort(axis=1)[:, :k]
            hits = CLASSES[train][order] == CLASSES[test][:, None]
            each.append(np.mean([sum(row[: j + 1].sum() / (j + 1) for j in range(k) if row[j]) / k for row in hits]))
        assert values_of(report)[f"mAP@{k}"] == pytest.approx(np.mean(each))


def test_without_a_split_each_slide_is_looked_up_among_those_of_other_patients(tmp_path: Path) -> None:
    rows = [[f"{name}-{slide}", name, kind] for name, kind in zip(NAMES, KINDS, strict=True) for slide in "AB"]
    table = write_rows(tmp_path / "slides.csv", ["slide_id", "case_id", "kind"], rows)
    task = DownstreamTask("t", str(table), KIND, slide="slide_id")
    twins = Embeddings(tuple(row[0] for row in rows), np.repeat(VECTORS, 2, axis=0), "twins")
    cases, folds = task.cases(twins)
    assert folds is None and len(cases) == 120
    assert cases.patients.tolist()[:4] == [NAMES[0], NAMES[0], NAMES[1], NAMES[1]]
    nearest_other = (cdist(VECTORS, VECTORS) + 1e9 * np.eye(len(NAMES))).argmin(axis=1)
    report = retrieve(cases, None, RetrievalSettings(resamples=100, ranks=(1,)))
    assert values_of(report)["mAP@1"] == pytest.approx((CLASSES[nearest_other] == CLASSES).mean())
    assert probe(cases, None, FEW).scores[0].cases == 120
    made = [
        set(cases.patients[train]) & set(cases.patients[test]) for _, train, test in sides(folds_of(cases, None, FEW))
    ]
    assert made == [set()] * 3


def test_prompts_of_rna_that_shares_the_slides_space_tell_them_apart_and_of_shuffled_rna_do_not(tmp_path: Path) -> None:
    slides = cases_of(tmp_path)
    rng = np.random.default_rng(0)
    rna = Embeddings(tuple(NAMES), (VECTORS + rng.normal(0, 0.3, VECTORS.shape)).astype(np.float32), "RNA")
    shuffled = replace(rna, vectors=rng.permutation(rna.vectors))
    settings = DownstreamConfig(folds=3, resamples=100)
    good = prompt(slides, cases_of(tmp_path, embeddings=rna), None, settings)
    chance = prompt(slides, cases_of(tmp_path, embeddings=shuffled), None, settings)
    assert good.scores[0].figure.low > 0.85
    assert chance.scores[0].figure.value < 0.75
    assert any("make none of its prompts" in note for note in good.notes)


def test_prompts_of_another_cohort_are_tested_on_all_slides_at_once(tmp_path: Path) -> None:
    others = tuple(f"other-{name}" for name in NAMES)
    table = write_rows(tmp_path / "others.csv", ["case_id", "kind"], zip(others, KINDS, strict=True))
    support = DownstreamTask("s", str(table), KIND).cases(replace(EMBEDDINGS, names=others))[0]
    report = prompt(cases_of(tmp_path), support, None, DownstreamConfig(resamples=100))
    prompts = np.stack([VECTORS[k == CLASSES].mean(axis=0) for k in range(3)])
    said = cdist(VECTORS, prompts).argmin(axis=1)
    assert values_of(report)["Balanced accuracy"] == pytest.approx(balanced_accuracy_score(CLASSES, said))
    assert report.scores[0].standard_error is None
    assert "No patient has both" in " ".join(report.notes)


def test_prompts_score_what_loops_and_scikit_learn_score_fold_by_fold(tmp_path: Path) -> None:
    rna = replace(
        EMBEDDINGS, vectors=(VECTORS + np.random.default_rng(3).normal(size=VECTORS.shape)).astype(np.float32)
    )
    report = prompt(cases_of(tmp_path), cases_of(tmp_path, embeddings=rna), THIRDS, DownstreamConfig(resamples=100))
    areas = []
    for _, train, test in sides(THIRDS):
        prompts = [rna.vectors[[row for row in train if CLASSES[row] == k]].mean(axis=0) for k in range(3)]
        scores = np.exp([[-np.sqrt(((VECTORS[row] - one) ** 2).sum()) for one in prompts] for row in test])
        areas.append(roc_auc_score(CLASSES[test], scores / scores.sum(axis=1, keepdims=True), multi_class="ovr"))
    assert report.scores[0].folds == pytest.approx(areas, abs=1e-6)


def test_prompted_risks_score_what_loops_and_scikit_survival_score_fold_by_fold(tmp_path: Path) -> None:
    report = prompt(cases_of(tmp_path, OS), cases_of(tmp_path, OS), THIRDS, DownstreamConfig(resamples=100))
    found = []
    for _, train, test in sides(THIRDS):
        dead = sorted((row for row in train if EVENTS[row]), key=lambda row: TIMES[row].round(1))
        high, low = (VECTORS[part].mean(axis=0) for part in (dead[: len(dead) // 4], dead[-(len(dead) // 4) :]))
        risks = [np.linalg.norm(VECTORS[row] - low) - np.linalg.norm(VECTORS[row] - high) for row in test]
        found.append(concordance_index_censored(EVENTS[test], TIMES[test].round(1), risks)[0])
    assert report.scores[0].folds == pytest.approx(found, abs=1e-6)


def test_survival_prompts_rank_slides_and_the_sign_is_told(tmp_path: Path) -> None:
    report = prompt(cases_of(tmp_path, OS), cases_of(tmp_path, OS), None, DownstreamConfig(folds=3, resamples=100))
    assert report.scores[0].figure.value > 0.6
    assert any("the paper writes the difference the other way round" in note for note in report.notes)


def test_prompts_of_another_space_or_other_classes_are_refused(tmp_path: Path) -> None:
    slides = cases_of(tmp_path)
    with pytest.raises(MismatchError, match="6 numbers and molecular ones of 3"):
        prompt(slides, cases_of(tmp_path, embeddings=replace(EMBEDDINGS, vectors=VECTORS[:, :3])))
    with pytest.raises(MismatchError, match="state the same classes"):
        prompt(slides, cases_of(tmp_path, OS))


def test_clusters_are_scored_and_a_survival_has_none(tmp_path: Path) -> None:
    found = values_of(clusters(cases_of(tmp_path), DownstreamConfig(resamples=100)))
    members = KMeans(3, n_init=10, random_state=0).fit_predict(VECTORS.astype(np.float64))
    assert found["Adjusted Rand index"] == pytest.approx(adjusted_rand_score(CLASSES, members))
    assert found["Mutual information (nats)"] == pytest.approx(mutual_info_score(CLASSES, members))
    for protocol in (clusters, retrieve):
        with pytest.raises(SettingsError, match="this is a survival"):
            protocol(cases_of(tmp_path, OS))


def test_few_shots_score_what_scikit_learn_scores_on_the_cases_drawn(tmp_path: Path) -> None:
    report = probe(cases_of(tmp_path), THIRDS, replace(FEW, shots=(4,), repeats=2))
    areas = []
    for number, train, test in sides(THIRDS):
        for repeat in range(2):
            rows = train[few_shot_rows(CLASSES[train], 4, KIND.classes, (FEW.seed, 4, number, repeat))]
            assert np.bincount(CLASSES[rows]).tolist() == [4, 4, 4]
            model = LogisticRegression(C=0.5, max_iter=10_000, class_weight="balanced").fit(
                VECTORS[rows], CLASSES[rows]
            )
            areas.append(roc_auc_score(CLASSES[test], model.predict_proba(VECTORS[test]), multi_class="ovr"))
    (found,) = (row for row in report.scores if row.setting == "4 shots" and row.metric.startswith("AUROC"))
    assert found.folds == pytest.approx(areas)


def test_few_shots_stand_beside_all_and_too_many_are_left_out_with_the_count(tmp_path: Path) -> None:
    report = probe(cases_of(tmp_path), THIRDS, replace(FEW, shots=(1, 8, 16), repeats=2))
    found = values_of(report)
    assert found["Balanced accuracy 1 shot"] < found["Balanced accuracy 8 shots"] <= found["Balanced accuracy"] + 0.1
    assert not any("16 shots" in name for name in found)
    assert report.skipped[0].startswith("Folds 0, 1 with 16 shots are left out: 16 cases of each class are not there")
    with pytest.raises(SettingsError, match="few shots are of classes"):
        probe(cases_of(tmp_path, OS), THIRDS, replace(FEW, shots=(4,)))
