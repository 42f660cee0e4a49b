"""What cannot be tested is left out with the reason, and what does not belong together is counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from downstream_cases import EMBEDDINGS, FEW, KIND, OS, THIRDS, cases_of, split_of, values_of
from downstream_data import CLASSES, EVENTS, KINDS, NAMES, VECTORS, write_rows
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.errors import MismatchError, SettingsError, UnusableFoldError
from napari_pathlupi.workflows.downstream.cases import join, read_slide_samples
from napari_pathlupi.workflows.downstream.config import DownstreamConfig, RetrievalSettings
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.downstream.probing import probe
from napari_pathlupi.workflows.downstream.retrieval import retrieve
from napari_pathlupi.workflows.downstream.task import DownstreamTask


def test_a_fold_that_cannot_be_used_is_left_out_with_the_reason_and_the_others_count(tmp_path: Path) -> None:
    roles = THIRDS.roles.copy()
    roles[:, 0] = np.where(CLASSES == 0, 1, 3)  # learns from one class
    roles[:, 1] = np.where(CLASSES == 1, 3, 1)  # is tested on one class
    report = probe(cases_of(tmp_path), split_of(roles), FEW)
    assert report.skipped == (
        "Fold 0 is left out: the 20 training cases are all of one class.",
        "Fold 1 is left out: the 20 test cases are all of one class.",
    )
    assert len(report.scores[0].folds) == 1
    with pytest.raises(UnusableFoldError, match=r"no fold can be tested\. Fold 0 is left out"):
        probe(cases_of(tmp_path), split_of(roles[:, :2]), FEW)


def test_folds_whose_cases_are_all_censored_are_left_out_with_the_reason(tmp_path: Path) -> None:
    roles = THIRDS.roles.copy()
    roles[:, 0] = np.where(EVENTS, 3, 1)
    roles[:, 1] = np.where(EVENTS, 1, 3)
    report = probe(cases_of(tmp_path, OS), split_of(roles), FEW)
    assert f"all {(~EVENTS).sum()} training cases are censored" in report.skipped[0]
    assert f"all {(~EVENTS).sum()} test cases are censored" in report.skipped[1]


def test_a_class_with_one_case_and_constant_features_are_said(tmp_path: Path) -> None:
    kinds = ["rare", *KINDS[1:]]
    write_rows(tmp_path / "labels.csv", ["case_id", "kind"], zip(NAMES, kinds, strict=True))
    vectors = VECTORS.copy()
    vectors[:, 2] = 3
    endpoint = Endpoint.classification("kind")
    cases = cases_of(tmp_path, endpoint, replace(EMBEDDINGS, vectors=vectors))
    notes = " ".join(probe(cases, THIRDS, FEW).notes)
    assert "1 of 4 classes have no training case" in notes
    assert "1 of 4 classes have one training case" in notes
    assert "1 of 4 classes have no test case" in notes
    assert "1 of 6 features are the same in all training cases" in notes
    same = cases_of(tmp_path, endpoint, replace(EMBEDDINGS, vectors=np.ones_like(VECTORS)))
    with pytest.raises(UnusableFoldError, match="all 6 features are the same"):
        probe(same, THIRDS, FEW)


def test_unmatched_names_are_counted_both_ways_with_examples(tmp_path: Path) -> None:
    some = Embeddings((*NAMES[4:], "stranger"), np.vstack([VECTORS[4:], VECTORS[:1]]), "some")
    note = cases_of(tmp_path, embeddings=some).notes[0]
    assert "56 of 57 embeddings belong to 56 of 60 labelled cases" in note
    assert "1 embeddings have no label (stranger)" in note
    assert "4 labelled cases no embedding (patient-00, patient-01, patient-02 …)" in note
    with pytest.raises(MismatchError, match=r"made up and labels\.csv do not belong together: 0 of 2 embeddings"):
        cases_of(tmp_path, embeddings=Embeddings(("x", "y"), VECTORS[:2], "made up"))


def test_the_slides_of_a_patient_are_averaged_whether_the_table_names_them_or_not(tmp_path: Path) -> None:
    names = [f"{name}-{slide}" for name in NAMES for slide in "AB"]
    twice = np.repeat(VECTORS, 2, axis=0)
    twice[::2] += 1
    twice[1::2] -= 1
    slides = Embeddings(tuple(names), twice, "slides")
    by_name = cases_of(tmp_path, embeddings=slides)
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
    found = values_of(retrieve(cases, None, RetrievalSettings(resamples=100, ranks=(1,))))
    assert found["mAP@1"] > 0.65
