"""A pre-training from files: stores of tiles, tables of measurements, the encoder that comes of it."""

import json
import tomllib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from handmade import a_grid
from napari_pathlupi.bundle import CARD, CataloguePart
from napari_pathlupi.cli import main
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import run
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import (
    BundleError,
    FeaturesError,
    MismatchError,
    NotFoundError,
    OutputError,
    SettingsError,
    TableError,
)
from napari_pathlupi.store import FeatureStore, SlideFacts
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.pretraining.case_tiles import JoinedTiles
from napari_pathlupi.workflows.pretraining.config import PretrainStudy
from napari_pathlupi.workflows.pretraining.data import pretrain_data_steps
from napari_pathlupi.workflows.pretraining.encode import encode_slides_steps
from napari_pathlupi.workflows.pretraining.file import pretraining_of, read_pretraining, written
from napari_pathlupi.workflows.pretraining.pairs import Steps
from napari_pathlupi.workflows.pretraining.pretrain import begun
from napari_pathlupi.workflows.pretraining.pretrained import load_pretrained
from napari_pathlupi.workflows.pretraining.study import ENCODER, LOG, pretrain_study_steps
from napari_pathlupi.workflows.training.train_start import begin_from, settings_beside
from published_scgpt import a_transformer, published, write_folder
from quick_pretraining import DIM, write_pretraining


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by the command."""
    file = write_pretraining(tmp_path_factory.mktemp("pretraining"))
    main(["pretrain", str(file)])
    return file.parent / "run"


def test_a_written_file_says_what_each_setting_is_and_comes_back_the_same(tmp_path: Path) -> None:
    text = written(PretrainStudy())
    assert pretraining_of(tomllib.loads(text)) == PretrainStudy()
    assert "The paper's text says 1e-5" in text.replace("\n# ", " ") and max(map(len, text.splitlines())) <= 120
    main(["init", "pretrain", "-o", str(tmp_path / "a.toml")])
    assert (tmp_path / "a.toml").read_text() == text
    changed = read_pretraining(tmp_path / "a.toml", ["training.epochs=3", "rna.panel=genes.txt"])
    assert changed.training.epochs == 3 and changed.rna.panel == str(tmp_path / "genes.txt")
    with pytest.raises(SettingsError, match="did you mean 'temperature'"):
        read_pretraining(tmp_path / "a.toml", ["training.temprature=1"])


def test_who_is_unmatched_is_told_both_ways_with_counts(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / LOG).read_text().splitlines()]
    notes = " ".join(lines[0]["notes"])
    assert "2 files belong to no case (nobody-1, nobody-2), 3 cases have no file (gone-1, gone-2, gone-3)" in notes
    assert "14 of 16 cases have RNA; 2 have none (case-000, case-001); 3 cases with RNA are not among them" in notes
    assert "16 of 16 cases have DNA; 3 cases with DNA are not among them (gone-1, gone-2, gone-3)" in notes
    assert lines[0]["pairs"] == {"rna": 14, "dna": 16}
    assert [line["epoch"] for line in lines if "loss" in line] == [1, 2]
    assert not list(finished.glob("*.pt"))


def test_the_encoder_that_comes_of_it_embeds_slides_and_molecules(finished: Path) -> None:
    encoder = load_pretrained(finished / ENCODER, device="auto")
    bag = np.random.default_rng(0).normal(size=(5000, DIM)).astype(np.float32)
    with torch.no_grad():
        tiles = encoder.network.standardise(torch.from_numpy(bag))[None]
        whole = encoder.network.slide_encoder(tiles, torch.ones(1, 5000, dtype=torch.bool)).embedding[0].numpy()
    np.testing.assert_allclose(encoder.embed(bag), whole, atol=1e-5)
    rna = pd.read_csv(finished.parent / "rna.csv", index_col=0)
    vectors = encoder.embed_molecules("rna", rna[rna.columns[::-1]])
    assert vectors.shape == (len(rna), 12) and list(vectors.index) == list(rna.index)
    np.testing.assert_allclose(vectors, encoder.embed_molecules("rna", rna), atol=1e-6)
    with pytest.raises(MismatchError, match="none of the 2 columns"):
        encoder.embed_molecules("rna", pd.DataFrame({"X": [1.0], "Y": [2.0]}))
    with pytest.raises(MismatchError, match="tiles of 8 numbers"):
        encoder.embed(bag[:, :4])


def test_slides_and_rna_are_written_as_tables_that_the_protocols_read(finished: Path, tmp_path: Path) -> None:
    study, place = finished.parent, str(finished / ENCODER)
    stated = ["--set", "features.encoder=planted", "--set", "features.mpp=0.5", "--set", "features.tile_px=256"]
    main(["encode", place, "--slides", str(study / "features"), "-o", str(tmp_path / "slides.csv"), *stated])
    units = ["--set", "rna.unit=log2(TPM+1)", "--set", "rna.genes_in=columns"]
    main(["encode", place, "--rna", str(study / "rna.csv"), "-o", str(tmp_path / "support.parquet"), *units])
    slides, support = read_embeddings(tmp_path / "slides.csv"), read_embeddings(tmp_path / "support.parquet")
    assert len(slides.names) == 19 and len(support.names) == 17
    (tmp_path / "maf.txt").write_text(
        "Hugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\nG0\tMissense_Mutation\tcase-003\n"
    )
    dna = ["--dna", str(tmp_path / "maf.txt"), "--set", f"dna.panel={study / 'panel.txt'}"]
    main(["encode", place, *dna, "-o", str(tmp_path / "dna.csv")])
    assert read_embeddings(tmp_path / "dna.csv").names == ("case-003",)
    encoder = load_pretrained(place)
    with h5py.File(study / "features" / "case-004.h5") as file:
        wanted = encoder.embed(file["features"][:])
    np.testing.assert_allclose(slides.vectors[slides.names.index("case-004")], wanted, atol=1e-5)
    (tmp_path / "whose.csv").write_text("case_id,slide_id\ncase-000,case-000\ncase-000,case-000.second\n")
    table = ["--table", str(tmp_path / "whose.csv"), "-o", str(tmp_path / "cases.csv")]
    main(["encode", place, "--slides", str(study / "features"), *table, *stated])
    assert read_embeddings(tmp_path / "cases.csv").names == ("case-000",)
    with pytest.raises(MismatchError, match="the encoder was trained on"):
        other = pretraining_of(
            {"slides": {"bags": str(study / "features")}, "features": {"encoder": "other", "mpp": 0.5, "tile_px": 256}}
        )
        run(encode_slides_steps(encoder, other))


def test_a_model_begins_with_its_slide_encoder(finished: Path) -> None:
    encoder = load_pretrained(finished / ENCODER)
    task = CataloguePart(name="classification", settings={"classes": ["A", "B"]})
    model = encoder.slide_model(task)
    assert settings_beside(finished / ENCODER) == {"slide_encoder": "threads", "settings": {"width": 12, "heads": 2}}
    assert settings_beside(finished) == settings_beside(finished / ENCODER)  # the whole run may be named
    assert load_pretrained(finished).card == encoder.card
    torch.nn.init.zeros_(model.slide_encoder.after.weight)
    begin_from(model, finished / ENCODER)
    bag = np.random.default_rng(0).normal(size=(7, DIM)).astype(np.float32)
    logits = model.head.weight.detach().numpy() @ encoder.embed(bag) + model.head.bias.detach().numpy()
    np.testing.assert_allclose(model.infer(bag).outputs, logits, atol=1e-5)


def test_an_encoder_that_was_altered_is_not_used(finished: Path, tmp_path: Path) -> None:
    for name in ("card.json", "weights.safetensors", "golden.safetensors"):
        (tmp_path / name).write_bytes((finished / ENCODER / name).read_bytes())
    content = bytearray((tmp_path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match="wrong SHA-256"):
        load_pretrained(tmp_path)
    with pytest.raises(BundleError, match="is no pre-trained encoder"):
        load_pretrained(tmp_path / "nowhere")


def test_the_same_call_does_nothing_again_and_other_settings_are_refused(finished: Path) -> None:
    study = read_pretraining(finished.parent / "pretraining.toml")
    before = (finished / LOG).read_bytes()
    assert run(pretrain_study_steps(study)) == finished
    assert (finished / LOG).read_bytes() == before
    with pytest.raises(OutputError, match="other settings"):
        run(pretrain_study_steps(replace(study, training=replace(study.training, epochs=9))))


def test_a_folder_in_which_nothing_was_trained_yet_takes_other_settings(tmp_path: Path) -> None:
    file = write_pretraining(tmp_path)
    with pytest.raises(SettingsError, match="panel is empty"):
        run(pretrain_study_steps(read_pretraining(file, ["dna.panel="])))
    main(["pretrain", str(file)])
    assert (tmp_path / "run" / ENCODER / CARD).is_file()


def test_slides_of_a_case_are_one_bag_and_cases_that_are_left_out_teach_nothing(tmp_path: Path) -> None:
    file = write_pretraining(tmp_path)
    (tmp_path / "test.txt").write_text("case-003\ncase-004\nunknown\n")
    data = run(pretrain_data_steps(read_pretraining(file, ["slides.leave_out=test.txt"])))
    assert len(data.cases.tiles) == 14 and not {"case-003", "case-004"} & set(data.cases.names)
    assert "2 cases of test.txt are left out as it says; 1 of its names are no case here (unknown)." in data.notes
    joined = data.cases.tiles[data.cases.names.index("case-000")]
    assert isinstance(joined, JoinedTiles)
    whole = joined[np.arange(len(joined))]
    rows = np.array([0, 2, len(joined) - 1])
    np.testing.assert_array_equal(joined[rows], whole[rows])
    np.testing.assert_array_equal(whole, np.concatenate([part[np.arange(len(part))] for part in joined.slides]))


def test_a_table_says_whose_slides_are(tmp_path: Path) -> None:
    file = write_pretraining(tmp_path)
    (tmp_path / "slides.csv").write_text("case_id,slide_id\ncase-001,nobody-1\ncase-001,nobody-2\ncase-002,case-002\n")
    data = run(pretrain_data_steps(read_pretraining(file, ["slides.table=slides.csv"])))
    assert data.cases.names == ("case-001", "case-002")
    (tmp_path / "test.txt").write_text("case-001\ncase-002\n")
    with pytest.raises(TableError, match="0 cases have both"):
        run(pretrain_data_steps(read_pretraining(file, ["slides.table=slides.csv", "slides.leave_out=test.txt"])))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (["rna.table=", "dna.copy_number="], SettingsError, "nothing was measured"),
        (["dna.panel="], SettingsError, "dna.panel is empty"),
        (["rna.panel=strange.txt"], TableError, "no gene of strange.txt"),
        (["slides.bags=nowhere"], FeaturesError, "check slides.bags"),
        (["run.memory_gb=-1"], SettingsError, "memory_gb is -1"),
        (["training.beta2=2"], SettingsError, "beta2 is 2"),
        (["training.settings={widht=3}"], SettingsError, "cannot be built.*widht"),
        (["training.device=nowhere"], NotFoundError, "no device is called 'nowhere'"),
    ],
)
def test_what_is_missing_or_cannot_be_is_one_sentence(tmp_path: Path, change: list, error: type, words: str) -> None:
    file = write_pretraining(tmp_path)
    (tmp_path / "strange.txt").write_text("NOGENE\n")
    with pytest.raises(error, match=words):
        run(pretrain_study_steps(read_pretraining(file, change)))


def test_the_rna_encoder_begins_with_a_published_scgpt_and_reads_the_genes_it_knows(tmp_path: Path) -> None:
    file, folder = write_pretraining(tmp_path), tmp_path / "scgpt"
    folder.mkdir()
    vocabulary = {"<cls>": 0, "OTHER": 1, **{f"GENE{i}": i + 2 for i in range(15)}}
    tensors = published(a_transformer(), False, vocabulary)
    write_folder(folder, tensors, vocabulary)
    changes = ["rna.encoder=scgpt", "rna.weights=scgpt", "rna.settings={}"]
    study = read_pretraining(file, changes)
    data = run(pretrain_data_steps(study))
    assert "15 of 20 genes are in the vocabulary of scgpt; the others are left out." in data.notes
    network, columns = begun(data.cases, study.training).model, data.cases.molecules["rna"].columns
    rows = [0, *(vocabulary[gene] for gene in columns)]
    assert len(columns) == 15
    torch.testing.assert_close(network.molecular["rna"].genes.weight, tensors["encoder.embedding.weight"][rows])
    with pytest.raises(SettingsError, match="encoder is rna-mlp"):
        read_pretraining(file, ["rna.weights=scgpt"])


def test_genes_of_the_panel_that_nobody_measured_are_told(tmp_path: Path) -> None:
    file = write_pretraining(tmp_path)
    (tmp_path / "genes.txt").write_text("GENE3\nGENE1\nNOGENE\n")
    data = run(pretrain_data_steps(read_pretraining(file, ["rna.panel=genes.txt"])))
    assert data.cases.molecules["rna"].columns == ("GENE3", "GENE1")
    assert "1 of 3 genes of the RNA panel were not measured: NOGENE." in data.notes


BIG, TILES = 128, (40, 50)
"""Numbers per tile, and rows and columns of tiles: a megabyte per slide."""


def write_store(place: str, slides: int, grid: TileGrid) -> None:
    identity = EncoderIdentity("planted", "1", BIG, 256, 0.5)
    for i in range(slides):
        facts = SlideFacts(f"case-{i:03d}.svs", f"{i:064d}", (0.5, 0.5), "header")
        with FeatureStore(place).writer(facts, grid, identity) as writer:
            writer.append(np.random.default_rng(i).normal(size=(len(grid.origins_px0), BIG)).astype(np.float32))


@pytest.fixture(scope="module")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("large")
    write_store(str(place / "store.zarr"), 10, a_grid(*TILES))
    write_pretraining(place)
    return place


@pytest.mark.parametrize("bound_mb", [1.0, 4.0])
def test_tiles_of_a_store_larger_than_the_memory_they_may_take_are_streamed(large_store: Path, bound_mb: float) -> None:
    changes = ["slides.bags=store.zarr", "training.tiles=32", f"run.memory_gb={bound_mb / 1024}", "training.readers=1"]
    file = large_store / "pretraining.toml"
    data = run(pretrain_data_steps(read_pretraining(file, changes)))
    steps = Steps(data.cases, read_pretraining(file, changes).training)
    tracemalloc.start()
    taken = [part.features for epoch in range(2) for step in steps.of_epoch(epoch) for part in step.parts]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    drawn = sum(part.numel() * 4 for part in taken)
    assert peak < bound_mb * (1 << 20) + drawn + 1e6 < 10 * TILES[0] * TILES[1] * BIG * 4
    store = FeatureStore(large_store / "store.zarr").bag("case-005.svs", data.cases.identity).features
    rows = np.array([3, 255, 256, 700, 1999])
    np.testing.assert_array_equal(data.cases.tiles[data.cases.names.index("case-005")][rows], store[rows])


def test_a_store_at_an_address_gives_the_same_encoder_as_a_folder(tmp_path: Path) -> None:
    file, found = write_pretraining(tmp_path), []
    for i, place in enumerate([str(tmp_path / "store.zarr"), f"memory://{tmp_path.name}/store.zarr"]):
        write_store(place, 4, a_grid(5, 6))
        changes = [f"slides.bags={place}", f"run.out=run-{i}", "training.tiles=16", "training.batch=4"]
        folder = run(pretrain_study_steps(read_pretraining(file, changes)))
        found.append((folder / ENCODER / "weights.safetensors").read_bytes())
    assert found[0] == found[1]
