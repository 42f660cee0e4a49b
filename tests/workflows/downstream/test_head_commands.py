"""From a pre-training to prompts as a model, by the commands alone."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest

from downstream_data import write_rows
from napari_pathlupi.bundle import load_bundle
from napari_pathlupi.cli import main
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.pretraining.pretrained import load_pretrained
from napari_pathlupi.workflows.pretraining.study import ENCODER
from quick_pretraining import write_pretraining

STATED = ["--encoder", "planted", "--mpp", "0.5", "--tile-px", "256"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_pretraining(tmp_path_factory.mktemp("pretraining"))
    main(["pretrain", str(file)])
    folder = file.parent
    with (folder / "rna.csv").open(newline="") as opened:
        names = [row["case_id"] for row in csv.DictReader(opened)]
    rows = [[name, ("wild type", "mutated")[i % 2]] for i, name in enumerate(names)]
    write_rows(folder / "labels.csv", ["case_id", "IDH"], rows)
    return folder


def test_rna_of_patients_becomes_prompts_that_a_slide_is_held_against(place: Path, tmp_path: Path) -> None:
    encoder, support = place / "run" / ENCODER, tmp_path / "rna.csv"
    units = ["--set", "rna.unit=log2(TPM+1)", "--set", "rna.genes_in=columns"]
    main(["encode", str(place / "run"), "--rna", str(place / "rna.csv"), "-o", str(support), *units])
    asked = ["--column", "IDH", "--slide-encoder", str(place / "run"), "--support", str(support), *STATED]
    model = tmp_path / "prompts"
    main(["head", str(place / "features"), str(place / "labels.csv"), "-o", str(model), *asked])
    main(
        [
            "embed-slides",
            str(place / "features"),
            "--slide-encoder",
            str(model),
            "-o",
            str(tmp_path / "slides"),
            *STATED,
        ]
    )
    slides, said = read_embeddings(tmp_path / "slides"), Ensemble.from_bundle(load_bundle(model))
    assert slides.made_by == said.embeds_by
    with h5py.File(place / "features" / "case-004.h5") as file:
        bag = np.asarray(file["features"][:], np.float32)
    wanted = load_pretrained(encoder).embed(bag)
    np.testing.assert_allclose(slides.vectors[slides.names.index("case-004")], wanted, atol=1e-5)
    output = said.infer(bag)
    assert list(output.heads) == ["head 1", "head 2"]
    prompts = read_embeddings(support)
    means = [prompts.vectors[start::2].mean(axis=0) for start in (0, 1)]
    nearest = ("mutated", "wild type")[int(np.linalg.norm(wanted - means[0]) < np.linalg.norm(wanted - means[1]))]
    assert output.answer.headline == nearest


def test_slides_are_encoded_with_the_flags_of_every_command_on_features(place: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "slides.csv"
    assert main(["encode", str(place / "run"), "--slides", str(place / "features"), "-o", str(out), *STATED]) == 0
    assert f"Next: pathlupi probe {out} LABELS." in capsys.readouterr().out
    main(
        [
            "embed-slides",
            str(place / "features"),
            "--slide-encoder",
            str(place / "run"),
            "-o",
            str(tmp_path / "h5"),
            *STATED,
        ]
    )
    once, again = read_embeddings(out), read_embeddings(tmp_path / "h5")
    np.testing.assert_allclose(once.vectors, again.vectors[[again.names.index(name) for name in once.names]], atol=1e-5)
