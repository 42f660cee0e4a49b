from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.errors import TableError
from napari_pathlupi.simulation.config import SimulationConfig
from napari_pathlupi.simulation.programmes import PROGRAMMES, draw_case
from napari_pathlupi.simulation.transcriptomes import simulate_expression

Sets = Mapping[str, Sequence[str]]


def table(config: SimulationConfig, gene_sets: Sets) -> pd.DataFrame:
    return simulate_expression([draw_case(config, index) for index in range(config.cases)], config, gene_sets)


def test_expression_is_log2_tpm_of_every_gene_of_every_case(gene_sets: Sets) -> None:
    expression = table(SimulationConfig(cases=12), gene_sets)
    assert list(expression.index) == [f"case_{index:04d}" for index in range(12)]
    assert sorted(expression.columns) == sorted({gene for genes in gene_sets.values() for gene in genes})
    values = expression.to_numpy()
    assert values.min() >= 0 and values.max() <= 16
    assert np.ptp(np.median(values, axis=0)) > 6
    assert (values == 0).any()


def test_gene_sets_follow_their_programme_and_no_other_set_does(gene_sets: Sets) -> None:
    config = SimulationConfig(cases=120)
    expression = table(config, gene_sets)
    activities = np.array([draw_case(config, index).activities for index in range(config.cases)])
    for number, programme in enumerate(PROGRAMMES):
        for name in programme.gene_sets:
            mean = expression[list(gene_sets[name])].rank().mean(axis=1)
            assert np.corrcoef(mean, activities[:, number])[0, 1] > 0.6
    silent = expression[list(gene_sets["HALLMARK_SPERMATOGENESIS"])].rank().mean(axis=1)
    assert np.abs(np.corrcoef(silent, activities.T)[0, 1:]).max() < 0.35


def test_genes_of_one_set_respond_differently_and_some_the_other_way(gene_sets: Sets) -> None:
    config = SimulationConfig(cases=120, rna_noise=0.0)
    expression = table(config, gene_sets)
    activity = [draw_case(config, index).activities[0] for index in range(config.cases)]
    genes = [gene for name in PROGRAMMES[0].gene_sets for gene in gene_sets[name]]
    slopes = np.array([np.polyfit(activity, expression[gene], 1)[0] for gene in genes])
    assert (slopes > 0.3).mean() > 0.4
    assert (slopes < -0.1).any() and (np.abs(slopes) < 1e-3).any()


def test_a_row_does_not_depend_on_the_other_cases(gene_sets: Sets) -> None:
    few, many = (table(SimulationConfig(cases=cases), gene_sets) for cases in (4, 9))
    pd.testing.assert_frame_equal(few, many.iloc[:4])


def test_noise_makes_a_programme_harder_to_read(gene_sets: Sets) -> None:
    clean, noisy = (table(replace(SimulationConfig(cases=60), rna_noise=noise), gene_sets) for noise in (0.0, 2.0))
    assert noisy.std().median() > 1.3 * clean.std().median()


def test_missing_gene_sets_are_named() -> None:
    with pytest.raises(TableError, match="HALLMARK_E2F_TARGETS"):
        table(SimulationConfig(cases=1), {"SOMETHING": ["A", "B"]})
