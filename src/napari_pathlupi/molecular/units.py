"""Units of expression: stated or recognised, and brought to one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import TableError

Values = npt.NDArray[np.float64]

XENA, LOG2_TPM, LOG2, TPM, COUNTS, Z = "log2(TPM+0.001)", "log2(TPM+1)", "log2(x+1)", "TPM", "counts", "z-score"
UNITS = (XENA, LOG2_TPM, LOG2, TPM, COUNTS, Z)
"""What a table may be in: Xena's Toil unit; the usual one; another log2(x+1) (FPKM, normalised counts); TPM; counts
that were not normalised; z-scores per gene."""
LOG2_CPM = "log2(CPM+1)"
"""What counts become: per million of a case's counts, as their genes' lengths are not known (our choice)."""
_XENA_FLOOR = float(np.log2(0.001))
_HIGHEST_LOG2 = 25.0
"""No log2 of a normalised expression is higher: log2 of a million is 20."""
_MILLION = 1e6
_NEARLY = 0.2
"""How far the sum of a case may be from a million: protein-coding tables lack some of it (our choice)."""
_WHOLE = 5000
"""From so many genes on the sum of a case means something (our choice)."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A unit and why it is taken to be this.

    Parameters
    ----------
    unit
        One of `UNITS`.
    reason
        "as stated", or what of the values says so.
    """

    unit: str
    reason: str


def recognise(values: Values, name: str) -> Recognised:
    """Return the unit that the values of a (cases, genes) table can only be in.

    Raises
    ------
    TableError
        When it may be several.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        raise TableError(f"{name} holds no number.")
    low, high = float(known.min()), float(known.max())
    if low < 0:
        return _with_negatives(values, low, name)
    if high > 1000 and (known == np.round(known)).all():
        return Recognised(COUNTS, f"whole numbers up to {high:g}")
    if values.shape[1] >= _WHOLE:
        if high <= _HIGHEST_LOG2 and _nearly_a_million(np.nansum(np.exp2(values) - 1, axis=1)):
            return Recognised(LOG2_TPM, "2^x - 1 sums to about a million in each case")
        if high > _HIGHEST_LOG2 and _nearly_a_million(np.nansum(values, axis=1)):
            return Recognised(TPM, "the values of each case sum to about a million")
    perhaps = f"{LOG2_TPM} or another {LOG2}" if high <= _HIGHEST_LOG2 else f"{TPM} or another unit without logarithm"
    raise _ambiguous(name, f"{low:g} to {high:g} in {values.shape[1]} genes: {perhaps}")


def _with_negatives(values: Values, low: float, name: str) -> Recognised:
    if abs(low - _XENA_FLOOR) < 1e-3:
        return Recognised(XENA, f"its lowest value is {low:.4f}, the log2 of 0.001")
    middle = float(np.nanmedian(np.abs(np.nanmedian(values, axis=0))))
    spread = float(np.nanmedian(np.nanstd(values, axis=0)))
    if middle < 0.5 and 0.5 < spread < 2:
        return Recognised(Z, f"genes lie about 0 (their medians at {middle:.2f}) with a spread of {spread:.2f}")
    raise _ambiguous(name, f"down to {low:g}, with genes that do not lie about 0: {XENA} or a logarithm of another sum")


def _nearly_a_million(sums: Values) -> bool:
    return bool(abs(np.median(sums) - _MILLION) < _NEARLY * _MILLION)


def _ambiguous(name: str, seen: str) -> TableError:
    return TableError(f"the unit of {name} is not clear ({seen}); state it, one of {', '.join(UNITS)}.")


def check(values: Values, unit: str, name: str) -> None:
    """Raise `TableError` when values cannot be in a stated unit."""
    if unit not in UNITS:
        raise TableError(f"there is no unit {unit!r} of expression: it is one of {', '.join(UNITS)}.")
    if not np.isfinite(values).any():
        raise TableError(f"{name} holds no number.")
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if unit in (LOG2_TPM, LOG2, TPM, COUNTS) and low < 0:
        raise TableError(f"{name} is stated to be in {unit}, and holds {low:g}: nothing below 0 can be.")
    if unit in (XENA, LOG2_TPM, LOG2) and high > 2 * _HIGHEST_LOG2:
        raise TableError(f"{name} is stated to be in {unit}, and holds {high:g}: that is no logarithm.")


def as_log2(values: Values, unit: str) -> tuple[Values, str, str]:
    """Return values brought to log2(TPM+1) where they can be, their unit now, and what was done in words."""
    if unit == XENA:
        return np.log2(np.maximum(np.exp2(values) - 0.001, 0) + 1), LOG2_TPM, "undone to TPM, then log2(TPM+1)"
    if unit == TPM:
        return np.log2(values + 1), LOG2_TPM, "log2(TPM+1) taken"
    if unit == COUNTS:
        per_million = np.nansum(values, axis=1, keepdims=True) / _MILLION
        with np.errstate(invalid="ignore"):
            return np.log2(values / per_million + 1), LOG2_CPM, "divided by the millions of each case, then log2(x+1)"
    return values, unit, "kept as they are"
