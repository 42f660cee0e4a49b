"""Protocols on cases: the same numbers as scikit-learn and scikit-survival, and nothing left out silently."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, roc_auc_score
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.util import Surv

from downstream_data import CLASSES, EVENTS, KINDS, NAMES, TIMES, VECTORS, write_labels, write_rows
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.folds import Folds
from napari_pathlupi.errors import MismatchError, SettingsError, UnusableFoldError
from napari_pathlupi.workflows.downstream.cases import DownstreamCases, join, read_slide_samples
from napari_pathlupi.workflows.downstream.config import DownstreamConfig, ProbeSettings, RetrievalSettings
from napari_pathlupi.workflows.downstream.downstream import Report, folds_of, sides
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.downstream.probing import probe
from napari_pathlupi.workflows.downstream.prompting import prompt
from napari_pathlupi.workflows.downstream.retrieval import clusters, retrieve
from napari_pathlupi.workflows.downstream.task import DownstreamTask

KIND = Endpoint.classification("kind", ("luminal", "basal", "her2"))
OS = Endpoint.survival("OS_days", event="OS_event")
FEW = ProbeSettings(folds=3, resamples=100)
EMBEDDINGS = Embeddings(tuple(NAMES), VECTORS, "made up")


def _cases(folder: Path, endpoint: Endpoint = KIND, embeddings: Embeddings = EMBEDDINGS) -> DownstreamCases:
    table = folder / "labels.csv"
    return DownstreamTask("t", str(table if table.exists() else write_labels(table)), endpoint).cases(embeddings)[0]


def _values(report: Report) -> dict[str, float]:
    return {f"{row.metric} {row.setting}".strip(): row.figure.value for row in report.scores}


def _split(roles: np.ndarray) -> Folds:
    return Folds(tuple(NAMES), roles.astype(np.int8), "made by hand")


THIRDS = _split(np.stack([np.where(np.arange(len(NAMES)) // 3 % 3 == k, 3, 1) for k in range(3)], axis=1))


def test_the_linear_probe_scores_what_scikit_learn_scores_fold_by_fold(tmp_path: Path) -> None:
    report = probe(_cases(tmp_path), THIRDS, FEW)
    areas, accuracies, kappas = [], [], []
    for _, train, test in sides(THIRDS):
        model = LogisticRegression(C=0.5, max_iter=10_000, class_weight="balanced").fit(VECTORS[train], CLASSES[train])
        areas.append(roc_auc_score(CLASSES[test], model.predict_proba(VECTORS[test]), multi_class="ovr"))
        accuracies.append(balanced_accuracy_score(CLASSES[test], model.predict(VECTORS[test])))
        kappas.append(cohen_kappa_score(CLASSES[test], model.predict(VECTORS[test]), weights="quadratic"))
    assert _values(report) == pytest.approx(
        {
            "AUROC (macro one-vs-rest)": np.mean(areas),
            "Balanced accuracy": np.mean(accuracies),
            "Cohen's kappa (quadratic)": np.mean(kappas),
        }
    )


def test_the_survival_probe_scores_what_scikit_survival_scores_fold_by_fold(tmp_path: Path) -> None:
    report = probe(_cases(tmp_path, OS), THIRDS, FEW)
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
    report = retrieve(_cases(tmp_path), THIRDS, RetrievalSettings(resamples=100))
    each = []
    for _, train, test in sides(THIRDS):
        order = cdist(VECTORS[test], VECTORS[train]).argsort(axis=1)[:, :5]
        hits = CLASSES[train][order] == CLASSES[test][:, None]
        each.append(np.mean([sum(row[: j + 1].sum() / (j + 1) for j in range(5) if row[j]) / 5 for row in hits]))
    assert _values(report)["mAP@5"] == pytest.approx(np.mean(each))


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
    assert _values(report)["mAP@1"] == pytest.approx((CLASSES[nearest_other] == CLASSES).mean())
    assert probe(cases, None, FEW).scores[0].cases == 120
    made = [
        set(cases.patients[train]) & set(cases.patients[test]) for _, train, test in sides(folds_of(cases, None, FEW))
    ]
    assert made == [set()] * 3


def test_prompts_of_rna_that_shares_the_slides_space_tell_them_apart_and_of_shuffled_rna_do_not(tmp_path: Path) -> None:
    slides = _cases(tmp_path)
    rng = np.random.default_rng(0)
    rna = Embeddings(tuple(NAMES), (VECTORS + rng.normal(0, 0.3, VECTORS.shape)).astype(np.float32), "RNA")
    shuffled = replace(rna, vectors=rng.permutation(rna.vectors))
    settings = DownstreamConfig(folds=3, resamples=100)
    good = prompt(slides, _cases(tmp_path, embeddings=rna), None, settings)
    chance = prompt(slides, _cases(tmp_path, embeddings=shuffled), None, settings)
    assert good.scores[0].figure.low > 0.85
    assert chance.scores[0].figure.value < 0.75
    assert any("make none of its prompts" in note for note in good.notes)


def test_prompts_of_another_cohort_are_tested_on_all_slides_at_once(tmp_path: Path) -> None:
    others = tuple(f"other-{name}" for name in NAMES)
    table = write_rows(tmp_path / "others.csv", ["case_id", "kind"], zip(others, KINDS, strict=True))
    support = DownstreamTask("s", str(table), KIND).cases(replace(EMBEDDINGS, names=others))[0]
    report = prompt(_cases(tmp_path), support, None, DownstreamConfig(resamples=100))
    prompts = np.stack([VECTORS[k == CLASSES].mean(axis=0) for k in range(3)])
    said = cdist(VECTORS, prompts).argmin(axis=1)
    assert _values(report)["Balanced accuracy"] == pytest.approx(balanced_accuracy_score(CLASSES, said))
    assert report.scores[0].standard_error is None
    assert "No patient has both" in " ".join(report.notes)


def test_survival_prompts_rank_slides_and_the_sign_is_told(tmp_path: Path) -> None:
    report = prompt(_cases(tmp_path, OS), _cases(tmp_path, OS), None, DownstreamConfig(folds=3, resamples=100))
    assert report.scores[0].figure.value > 0.6
    assert any("the paper writes the difference the other way round" in note for note in report.notes)


def test_prompts_of_another_space_or_other_classes_are_refused(tmp_path: Path) -> None:
    slides = _cases(tmp_path)
    with pytest.raises(MismatchError, match="6 numbers and molecular ones of 3"):
        prompt(slides, _cases(tmp_path, embeddings=replace(EMBEDDINGS, vectors=VECTORS[:, :3])))
    with pytest.raises(MismatchError, match="state the same classes"):
        prompt(slides, _cases(tmp_path, OS))


def test_clusters_are_scored_and_a_survival_has_none(tmp_path: Path) -> None:
    found = _values(clusters(_cases(tmp_path), DownstreamConfig(resamples=100)))
    assert found["Adjusted Rand index"] > 0.5
    for protocol in (clusters, retrieve):
        with pytest.raises(SettingsError, match="this is a survival"):
            protocol(_cases(tmp_path, OS))


def test_few_shots_stand_beside_all_and_too_many_are_left_out_with_the_count(tmp_path: Path) -> None:
    report = probe(_cases(tmp_path), THIRDS, replace(FEW, shots=(1, 8, 16), repeats=2))
    found = _values(report)
    assert found["Balanced accuracy 1 shots"] < found["Balanced accuracy 8 shots"] <= found["Balanced accuracy"] + 0.1
    assert not any("16 shots" in name for name in found)
    assert report.skipped[0].startswith("Folds 0, 1 with 16 shots are left out: 16 cases of each class are not there")
    with pytest.raises(SettingsError, match="few shots are of classes"):
        probe(_cases(tmp_path, OS), THIRDS, replace(FEW, shots=(4,)))


def test_a_fold_that_cannot_be_used_is_left_out_with_the_reason_and_the_others_count(tmp_path: Path) -> None:
    roles = THIRDS.roles.copy()
    roles[:, 0] = np.where(CLASSES == 0, 1, 3)  # learns from one class
    roles[:, 1] = np.where(CLASSES == 1, 3, 1)  # is tested on one class
    report = probe(_cases(tmp_path), _split(roles), FEW)
    assert report.skipped == (
        "Fold 0 is left out: the 20 training cases are all of one class.",
        "Fold 1 is left out: the 20 test cases are all of one class.",
    )
    assert len(report.scores[0].folds) == 1
    with pytest.raises(UnusableFoldError, match=r"no fold can be tested\. Fold 0 is left out"):
        probe(_cases(tmp_path), _split(roles[:, :2]), FEW)


def test_folds_whose_cases_are_all_censored_are_left_out_with_the_reason(tmp_path: Path) -> None:
    roles = THIRDS.roles.copy()
    roles[:, 0] = np.where(EVENTS, 3, 1)
    roles[:, 1] = np.where(EVENTS, 1, 3)
    report = probe(_cases(tmp_path, OS), _split(roles), FEW)
    assert f"all {(~EVENTS).sum()} training cases are censored" in report.skipped[0]
    assert f"all {(~EVENTS).sum()} test cases are censored" in report.skipped[1]


def test_a_class_with_one_case_and_constant_features_are_said(tmp_path: Path) -> None:
    kinds = ["rare", *KINDS[1:]]
    write_rows(tmp_path / "labels.csv", ["case_id", "kind"], zip(NAMES, kinds, strict=True))
    vectors = VECTORS.copy()
    vectors[:, 2] = 3
    endpoint = Endpoint.classification("kind")
    cases = _cases(tmp_path, endpoint, replace(EMBEDDINGS, vectors=vectors))
    notes = " ".join(probe(cases, THIRDS, FEW).notes)
    assert "1 of 4 classes have no training case" in notes
    assert "1 of 4 classes have one training case" in notes
    assert "1 of 4 classes have no test case" in notes
    assert "1 of 6 features are the same in all training cases" in notes
    same = _cases(tmp_path, endpoint, replace(EMBEDDINGS, vectors=np.ones_like(VECTORS)))
    with pytest.raises(UnusableFoldError, match="all 6 features are the same"):
        probe(same, THIRDS, FEW)


def test_unmatched_names_are_counted_both_ways_with_examples(tmp_path: Path) -> None:
    some = Embeddings((*NAMES[4:], "stranger"), np.vstack([VECTORS[4:], VECTORS[:1]]), "some")
    note = _cases(tmp_path, embeddings=some).notes[0]
    assert "56 of 57 embeddings belong to 56 of 60 labelled cases" in note
    assert "1 embeddings have no label (stranger)" in note
    assert "4 labelled cases no embedding (patient-00, patient-01, patient-02 …)" in note
    with pytest.raises(MismatchError, match=r"made up and labels\.csv do not belong together: 0 of 2 embeddings"):
        _cases(tmp_path, embeddings=Embeddings(("x", "y"), VECTORS[:2], "made up"))


def test_the_slides_of_a_patient_are_averaged_whether_the_table_names_them_or_not(tmp_path: Path) -> None:
    names = [f"{name}-{slide}" for name in NAMES for slide in "AB"]
    twice = np.repeat(VECTORS, 2, axis=0)
    twice[::2] += 1
    twice[1::2] -= 1
    slides = Embeddings(tuple(names), twice, "slides")
    by_name = _cases(tmp_path, embeddings=slides)
    rows = [[name[:-2], name, KINDS[row // 2]] for row, name in enumerate(names)]
    table = write_rows(tmp_path / "slides.csv", ["case_id", "slide_id", "kind"], rows)
    by_table = DownstreamTask("t", str(table), KIND).cases(slides)[0]
    for cases in (by_name, by_table):
        np.testing.assert_allclose(cases.vectors, VECTORS, atol=1e-6)
        assert "60 cases have several slides" in cases.notes[1]


def test_slides_of_one_patient_on_both_sides_of_an_official_split_are_told(tmp_path: Path) -> None:
    rows = [
        [f"{n}-{s}", n, k, f] for n, k in zip(NAMES, KINDS, strict=True) for s, f in (("A", "train"), ("B", "test"))
    ]
    table = write_rows(tmp_path / "slides.csv", ["slide_id", "case_id", "kind", "fold_0"], rows)
    names, vectors = tuple(row[0] for row in rows), np.repeat(VECTORS, 2, axis=0)
    cohort = read_slide_samples(table, KIND, "slide_id")
    report = probe(join(Embeddings(names, vectors, "e"), cohort, by_slide=True), None, FEW)
    assert any("60 patients have slides on both sides" in note for note in report.notes)


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"folds": 1}, {"resamples": 5}):
        with pytest.raises(SettingsError, match="too few"):
            DownstreamConfig(**wrong)
    with pytest.raises(SettingsError, match="each must be 1 or more"):
        RetrievalSettings(ranks=(0, 5))
    with pytest.raises(SettingsError, match="no measure is called 'dice'"):
        DownstreamTask("t", "x.csv", KIND, metric="dice")


def test_real_transcriptomes_are_matched_to_real_patients_and_found_among_their_subtype(shared_data: Path) -> None:
    rna = read_embeddings(shared_data / "rna/tcga_brca_rna_zscores.csv.gz")
    ranked = replace(rna, vectors=rankdata(rna.vectors, axis=0).astype(np.float32))
    table = str(shared_data / "rna/tcga_brca_slides_clinical.csv")
    cases, _ = DownstreamTask("pam50", table, Endpoint.classification("pam50")).cases(ranked)
    assert cases.notes[0].startswith("934 of 956 embeddings belong to 934 of 934 labelled cases; 22 embeddings have no")
    found = _values(retrieve(cases, None, RetrievalSettings(resamples=100, ranks=(1,))))
    assert found["mAP@1"] > 0.65
