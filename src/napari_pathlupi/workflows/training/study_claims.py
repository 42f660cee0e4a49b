"""What the folds of a study claim of gene sets, held against the expression of their test cases."""

from collections.abc import Mapping, Sequence

import numpy as np

from napari_pathlupi.core.claims import ClaimCheck
from napari_pathlupi.evaluation.claims import GENE_SETS, ClaimsOfFold, check_claims, table_of
from napari_pathlupi.workflows.training.study_fold import FoldResult, Study
from napari_pathlupi.workflows.training.study_tables import write_table
from napari_pathlupi.workflows.training.validation import activity_of


def claims_checked(study: Study, results: Sequence[FoldResult]) -> Mapping[str, ClaimCheck]:
    """Return, by gene set, how far the claims of all folds went with what was measured; write it to the run's folder.

    Empty where no fold claims anything, or no test case of one that does has expression. Every fold was trained before,
    and measures a case with the scale of its own training cases.
    """
    found = [_of_fold(study, result) for result in results]
    told = [one for one in found if one is not None]
    if study.targets is None or not told:
        return {}
    checks = check_claims(told, list(study.targets.gene_sets))
    write_table(study.folder / GENE_SETS, table_of(checks))
    return checks


def _of_fold(study: Study, result: FoldResult) -> ClaimsOfFold | None:
    """None where the fold learned without expression, its objective claims nothing, or nobody was measured."""
    targets, data = study.targets, study.data
    if targets is None or not result.weight:
        return None
    measured = targets.activity(data.folds.train(result.fold), result.test)
    there = measured.notna().any(axis=1).to_numpy()
    if not there.any():
        return None
    bags, owners = data.bags_of(result.test[there])
    said = [activity_of(model, bags, owners) for model in result.models]
    claimed = [one for one in said if one is not None]
    if not claimed:
        return None
    columns = [list(result.models[0].gene_sets).index(name) for name in targets.gene_sets]
    values = measured[list(targets.gene_sets)].to_numpy()[there]
    return ClaimsOfFold(tuple(measured.index[there]), np.mean(claimed, axis=0)[:, columns], values)
