"""A folder of simulated slides with their transcriptomes, subtypes and truth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import Cancelled, OutputError
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.fields import STEP_PX
from napari_pathlupi.simulation.programmes import SUBTYPES, Case, draw_case
from napari_pathlupi.simulation.rendering import render, truth
from napari_pathlupi.simulation.slide_writer import SlideLayout, write_slide_steps
from napari_pathlupi.simulation.transcriptomes import simulate_expression

README = """Simulated by napari-pathlupi: no patient, no real tissue, no real molecule was measured.

slides/             whole-slide images, as a scanner would write them
truth/              what was planted where: one raster per programme, {step} level-0 pixels to a cell
expression.csv.gz   log2(TPM+1), cases by genes
cohort.csv          case, slide, subtype, split
simulation.json     the settings; the same settings give the same cohort
"""


def simulate_steps(
    folder: Path, config: SimulationConfig, gene_sets: Mapping[str, Sequence[str]], cancel: CancelFlag
) -> Steps[Path]:
    """Return the folder of a simulated cohort; cases that are already there whole are kept.

    Parameters
    ----------
    folder
        Made if need be. It may hold an interrupted or smaller simulation with the same settings, which is continued.
    config
        Settings.
    gene_sets
        Genes by the name of their set, Hallmark.
    cancel
        Asks to stop; the cases that are finished stay.

    Raises
    ------
    OutputError
        When the folder cannot be written or holds a simulation with other settings.
    Cancelled
        When asked to stop.
    """
    cases = [draw_case(config, index) for index in range(config.cases)]
    try:
        _claim(folder, config)
        for done, case in enumerate(cases):
            yield Progress("simulating slides", done, len(cases))
            for _ in simulate_case_steps(folder, case, cancel):
                yield Progress("simulating slides", done, len(cases))
        _write_tables(folder, cases, simulate_expression(cases, config, gene_sets))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror or error}): choose another folder.") from error
    yield Progress("simulating slides", len(cases), len(cases))
    return folder


def simulate_case_steps(folder: Path, case: Case, cancel: CancelFlag) -> Steps[Path]:
    """Return the slide of one case, written with its truth unless both are there."""
    config = case.config
    slide, planted = folder / "slides" / f"{case.name}.svs", folder / "truth" / f"{case.name}.npz"
    if slide.exists() and planted.exists():
        return slide
    if cancel:
        raise Cancelled(f"stopped before {case.name}: the same command continues there.")
    for path in (slide, planted):
        path.parent.mkdir(parents=True, exist_ok=True)
    layout = SlideLayout(config.shape_px, config.mpp, quality=config.jpeg_quality)
    yield from write_slide_steps(slide, partial(render, case), layout, cancel)
    part = planted.with_name(f".{planted.name}")
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, step_px=np.array(STEP_PX), **truth(case))
    part.replace(planted)
    return slide


def split_of(case: Case) -> str:
    """Return "test" for the held-back share of the cases of each subtype, spread evenly, else "train"."""
    share, block = case.config.held_back, case.index // len(SUBTYPES)
    return "test" if int((block + 1) * share + 1e-9) > int(block * share + 1e-9) else "train"


def _claim(folder: Path, config: SimulationConfig) -> None:
    """Note the settings in the folder, or refuse a folder with others."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "simulation.json"
    wanted = json.loads(json.dumps({name: value for name, value in asdict(config).items() if name != "cases"}))
    if settings.exists():
        try:
            found = json.loads(settings.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted:
            raise OutputError(f"{folder} holds a simulation with other settings: choose another folder or empty it.")
    elif any(folder.iterdir()):
        raise OutputError(f"{folder} holds other files: choose an empty folder.")
    _write_text(settings, json.dumps(wanted, indent=2) + "\n")
    _write_text(folder / "README.txt", README.format(step=STEP_PX))


def _write_tables(folder: Path, cases: Sequence[Case], expression: pd.DataFrame) -> None:
    part = folder / ".expression.csv.gz"
    expression.to_csv(part, compression={"method": "gzip", "mtime": 1})
    part.replace(folder / "expression.csv.gz")
    rows = [(case.name, f"slides/{case.name}.svs", case.subtype, split_of(case)) for case in cases]
    table = pd.DataFrame(rows, columns=["case", "slide", "subtype", "split"])
    _write_text(folder / "cohort.csv", table.to_csv(index=False))


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)
