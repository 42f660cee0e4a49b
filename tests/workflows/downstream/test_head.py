"""Probes and prompts become models that are run like any other."""

from pathlib import Path

import numpy as np
import pytest

from downstream_data import write_rows
from napari_pathlupi.bundle import Bundle, load_bundle
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.progress import run
from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.evaluation.probe import fit_probe
from napari_pathlupi.evaluation.prompting import class_prompts, class_scores, prompted_risks, risk_prompts
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.downstream.head import RISKS, HeadStudy, make_head_steps
from napari_pathlupi.workflows.downstream.slide_embedding import bags_in, embedder, encode_slides_steps, save_embeddings
from napari_pathlupi.workflows.downstream.task import DownstreamTask
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.features import frame_of, predict_bag
from napari_pathlupi.workflows.save import save_prediction
from quick_study import write_study

CASES = 24
CLASSES = Endpoint.classification("label")
SURVIVAL = Endpoint.survival("OS_days", event="OS_event")
STATED = Stated(encoder="planted", mpp=0.5, tile_px=256)
QUICK = ProbeSettings(folds=2, resamples=100)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_study(folder, CASES, unlabelled=0, without_rna=0)
    rng = np.random.default_rng(2)
    rows = [[f"case-{i:03d}", round(rng.exponential(300)) + 1, int(i % 3 > 0)] for i in range(CASES)]
    write_rows(folder / "survival.csv", ["case_id", "OS_days", "OS_event"], rows)
    return folder


@pytest.fixture(scope="module")
def probed(place: Path) -> Bundle:
    return run(make_head_steps(place / "probe", study(place, title="Two kinds")))


def task(place: Path, endpoint: Endpoint) -> DownstreamTask:
    table = "survival.csv" if endpoint.task == "survival" else "cohort.csv"
    return DownstreamTask("task", str(place / table), endpoint)


def study(place: Path, endpoint: Endpoint = CLASSES, **changes: object) -> HeadStudy:
    chosen = {"encoder": "mean", "settings": QUICK, "stated": STATED, **changes}
    return HeadStudy(str(place / "features"), task=task(place, endpoint), **chosen)


def encoded(place: Path, by: str = "mean") -> Embeddings:
    bags = bags_in(place / "features", STATED)
    identity = next(iter(bags.values()))().encoder
    return run(encode_slides_steps(embedder(by, identity), bags)).embeddings


def support(place: Path) -> Embeddings:
    """Stands for transcriptomes: the slides' own vectors, a little moved."""
    slides = encoded(place)
    noise = np.random.default_rng(5).normal(size=slides.vectors.shape) * 0.1
    return Embeddings(slides.names, (slides.vectors + noise).astype(np.float32))


def test_a_probe_as_a_model_says_what_the_probe_says(place: Path, probed: Bundle) -> None:
    slides = encoded(place)
    cases, _ = task(place, CLASSES).cases(slides)
    wanted = fit_probe(cases.vectors, cases.classes, 2).probabilities(cases.vectors)
    model = Ensemble.from_bundle(load_bundle(probed.folder))
    for row, load in enumerate(bags_in(place / "features", STATED).values()):
        outputs = model.infer(load().features).outputs.astype(np.float64)
        assert 1 / (1 + np.exp(outputs[0] - outputs[1])) == pytest.approx(wanted[row, 1], abs=1e-5)
    assert probed.card.title == "Two kinds"
    assert probed.card.metrics["AUROC, probes in 2 folds"][0] > 0.6
    assert probed.card.calibration is not None
    assert probed.card.calibration["cases"] == CASES


def test_a_prediction_carries_the_embedding_its_head_read(place: Path, probed: Bundle) -> None:
    slides = encoded(place)
    bag = bags_in(place / "features", STATED)[slides.names[0]]()
    embedding = predict_bag(bag, probed).embedding
    assert embedding is not None
    np.testing.assert_allclose(embedding.vector, slides.vectors[0], atol=1e-6)
    assert embedding.made_by == slides.made_by


def test_a_folder_of_results_is_a_store_of_embeddings(place: Path, probed: Bundle, tmp_path: Path) -> None:
    names = sorted(bags_in(place / "features", STATED))[:3]
    for name in names:
        bag = bags_in(place / "features", STATED)[name]()
        save_prediction(predict_bag(bag, probed, f"{name}.svs"), frame_of(bag), tmp_path)
    stored = read_embeddings(tmp_path)
    assert stored.names == tuple(names)
    np.testing.assert_allclose(stored.vectors, encoded(place).vectors[:3], atol=1e-6)


def test_prompts_as_a_model_name_the_nearest_one(place: Path, tmp_path: Path) -> None:
    molecular = support(place)
    bundle = run(make_head_steps(tmp_path / "prompts", study(place, support=molecular)))
    cases, _ = task(place, CLASSES).cases(molecular)
    scores = class_scores(encoded(place).vectors, class_prompts(cases.vectors, cases.classes, ("A", "B")))
    model = Ensemble.from_bundle(bundle)
    for row, load in enumerate(bags_in(place / "features", STATED).values()):
        answer = model.infer(load().features).answer
        assert answer.headline == "AB"[int(scores[row].argmax())]
        assert answer.columns()["prob_A"] == pytest.approx(scores[row, 0], abs=0.1)
        assert "no probabilities" in answer.remark


def test_prompts_of_a_survival_order_slides_as_their_risks(place: Path, tmp_path: Path) -> None:
    molecular = support(place)
    bundle = run(make_head_steps(tmp_path / "prompts", study(place, SURVIVAL, support=molecular)))
    cases, _ = task(place, SURVIVAL).cases(molecular)
    prompts = risk_prompts(cases.vectors, cases.times, cases.classes.astype(bool))
    wanted = prompted_risks(encoded(place).vectors, prompts)
    model = Ensemble.from_bundle(bundle)
    outputs = np.array([model.infer(load().features).outputs for load in bags_in(place / "features", STATED).values()])
    assert tuple(model.evidence_names) == RISKS
    assert np.corrcoef(outputs[:, 0] - outputs[:, 1], wanted)[0, 1] > 0.95
    assert (np.sign(outputs[:, 0] - outputs[:, 1]) == np.sign(wanted)).all()


def test_a_survival_probe_tells_where_a_slide_stands(place: Path, tmp_path: Path) -> None:
    settings = ProbeSettings(folds=2, resamples=100, alpha=0.01)
    bundle = run(make_head_steps(tmp_path / "cox", study(place, SURVIVAL, settings=settings)))
    bag = next(iter(bags_in(place / "features", STATED).values()))()
    assert predict_bag(bag, bundle).answer.as_dict()["share_of_cases_below"] is not None
    assert "C-index, probes in 2 folds" in bundle.card.metrics


def test_the_encoder_of_a_model_is_taken_over_as_it_is(place: Path, probed: Bundle, tmp_path: Path) -> None:
    again = run(make_head_steps(tmp_path / "again", study(place, encoder=str(probed.folder))))
    assert Ensemble.from_bundle(probed).embeds_by == Ensemble.from_bundle(again).embeds_by


def test_an_encoder_without_its_weights_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="weights to learn"):
        run(make_head_steps(tmp_path / "none", study(place, encoder="abmil")))


def test_prompts_of_another_space_are_refused(place: Path, tmp_path: Path) -> None:
    slides = encoded(place)
    narrow = Embeddings(slides.names, slides.vectors[:, :5])
    with pytest.raises(MismatchError, match="8 numbers and molecular ones of 5"):
        run(make_head_steps(tmp_path / "none", study(place, support=narrow)))


@pytest.mark.parametrize("name", ["slides", "slides.h5ad"])
def test_embeddings_on_disk_say_what_made_them(name: str, place: Path, tmp_path: Path) -> None:
    slides = encoded(place)
    save_embeddings(slides, tmp_path / name)
    again = read_embeddings(tmp_path / name)
    assert again.names == slides.names
    assert again.made_by == slides.made_by != ""
    np.testing.assert_array_equal(again.vectors, slides.vectors)
