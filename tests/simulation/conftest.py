"""A small simulated case, and gene sets that need no file."""

from collections.abc import Mapping, Sequence

import pytest

from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import PROGRAMMES, Case, draw_case

SMALL = SimulationConfig(cases=4, seed=3, shape_px=(1100, 1300), pen_share=1.0)


@pytest.fixture(scope="session")
def small() -> SimulationConfig:
    return SMALL


@pytest.fixture(scope="session")
def case() -> Case:
    return draw_case(SMALL, 1)


@pytest.fixture(scope="session")
def gene_sets() -> Mapping[str, Sequence[str]]:
    """Twenty genes to each programme's sets, and a set of no programme."""
    names = [name for programme in PROGRAMMES for name in programme.gene_sets]
    sets = {name: [f"{name}_{number}" for number in range(20)] for name in names}
    return sets | {"HALLMARK_SPERMATOGENESIS": [f"SPERM{number}" for number in range(40)]}
