from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pytest

from napari_pathlupi.core.progress import CancelFlag, Progress, run
from napari_pathlupi.errors import Cancelled, OutputError
from napari_pathlupi.simulation.cohort import simulate_steps, split_of
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import SUBTYPES, draw_case

Sets = Mapping[str, Sequence[str]]


@pytest.fixture(scope="module")
def tiny(small: SimulationConfig) -> SimulationConfig:
    return replace(small, shape_px=(820, 900))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory, tiny: SimulationConfig, gene_sets: Sets) -> Path:
    return run(simulate_steps(tmp_path_factory.mktemp("cohort") / "new", tiny, gene_sets, CancelFlag()))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_cohort_is_complete(cohort: Path, tiny: SimulationConfig) -> None:
    table = pd.read_csv(cohort / "cohort.csv")
    assert list(table.columns) == ["case", "slide", "subtype", "split"]
    assert sorted(table["subtype"]) == list(SUBTYPES)
    expression = pd.read_csv(cohort / "expression.csv.gz", index_col="case")
    assert list(expression.index) == list(table["case"])
    for case, slide in zip(table["case"], table["slide"], strict=True):
        with openslide.OpenSlide(cohort / slide) as opened:
            assert opened.dimensions == (tiny.shape_px[1], tiny.shape_px[0])
        with np.load(cohort / "truth" / f"{case}.npz") as planted:
            assert planted["tumour"].shape == (52, 57) and planted["step_px"] == 16
    assert "Simulated" in (cohort / "README.txt").read_text()
    assert not list(cohort.rglob(".*"))


def test_the_same_settings_give_the_same_cohort_even_after_an_interruption(
    cohort: Path, tmp_path: Path, tiny: SimulationConfig, gene_sets: Sets
) -> None:
    cancel = CancelFlag()

    def stop_in_the_third(progress: Progress) -> None:
        if progress.done == 2:
            cancel.set()

    with pytest.raises(Cancelled):
        run(simulate_steps(tmp_path, tiny, gene_sets, cancel), stop_in_the_third)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("slides/*.svs")}
    assert len(finished) == 2 and not (tmp_path / "cohort.csv").exists()
    run(simulate_steps(tmp_path, tiny, gene_sets, CancelFlag()))
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    ours, theirs = contents(tmp_path), contents(cohort)
    assert ours.keys() == theirs.keys()
    assert all(ours[name] == theirs[name] for name in ours if not name.endswith(".npz"))


def test_a_folder_with_other_settings_or_other_files_is_refused(
    cohort: Path, tmp_path: Path, tiny: SimulationConfig, gene_sets: Sets
) -> None:
    with pytest.raises(OutputError, match="other settings"):
        run(simulate_steps(cohort, replace(tiny, seed=99), gene_sets, CancelFlag()))
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="other files"):
        run(simulate_steps(tmp_path, tiny, gene_sets, CancelFlag()))
    assert contents(tmp_path) == {"thesis.txt": b"precious"}


def test_held_back_cases_are_balanced_and_their_share_is_right() -> None:
    config = SimulationConfig(cases=80, held_back=0.25)
    cases = [draw_case(config, index) for index in range(config.cases)]
    test = [case.subtype for case in cases if split_of(case) == "test"]
    assert sorted(test) == sorted(list(SUBTYPES) * 5)
    assert not any(split_of(draw_case(SimulationConfig(held_back=0.0), index)) == "test" for index in range(8))
