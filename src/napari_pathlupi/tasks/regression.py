"""A value, or several, of a slide."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.outlook import Values
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._members import together
from napari_pathlupi.tasks._task import Task, exact

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Regression(Task):
    """Values that a slide has, learned in units of their spread over the training cases.

    Parameters
    ----------
    names
        Of the values, at least one.
    unit
        Of all of them, "" for none.
    means, spreads, lows, highs
        Per value its mean, standard deviation, least and largest among the training cases; empty until fitted. Of
        models that were fitted each on its own cases ``means`` and ``spreads`` hold a row for each.
    """

    def __init__(
        self,
        names: Sequence[str] = ("Value",),
        unit: str = "",
        means: Sequence[float] | Sequence[Sequence[float]] = (),
        spreads: Sequence[float] | Sequence[Sequence[float]] = (),
        lows: Sequence[float] = (),
        highs: Sequence[float] = (),
    ) -> None:
        rows = np.array(means, np.float64), np.array(spreads, np.float64)
        self.members = tuple(zip(*(part.tolist() for part in rows), strict=True)) if rows[0].ndim == 2 else ()
        fits = [part.mean(axis=0) if part.ndim == 2 else part for part in rows]
        fits += [np.array(part, np.float64) for part in (lows, highs)]
        if not names or len(set(names)) < len(names) or {part.shape for part in fits} not in ({(0,)}, {(len(names),)}):
            raise ValueError(f"values of different names are needed, with a mean, spread, low and high each: {names}")
        self.names, self.unit = tuple(names), unit
        self.means, self.spreads, self.lows, self.highs = (tuple(part.tolist()) for part in fits)

    @property
    def columns(self) -> int:
        """One per value."""
        return len(self.names)

    @property
    def outputs(self) -> int:
        return len(self.names)

    @property
    def evidence_names(self) -> Sequence[str]:
        return self.names

    def settings(self) -> Mapping[str, Any]:
        means, spreads = zip(*self.members, strict=True) if self.members else (self.means, self.spreads)
        fits = {"means": means, "spreads": spreads, "lows": self.lows, "highs": self.highs}
        return {"names": list(self.names), "unit": self.unit, **{key: list(value) for key, value in fits.items()}}

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        for name, column in zip(self.names, wanted.T, strict=True):
            known = column[~np.isnan(column)]
            if not np.isfinite(known).all() or len(np.unique(known)) < 2:
                raise MismatchError(
                    f"{name} has {len(np.unique(known))} different values in its {len(known)} known cases, "
                    f"{int(np.isinf(known).sum())} of them infinite: at least two different finite ones are needed."
                )

    def fitted(self, wanted: npt.NDArray[np.float64]) -> Self:
        """Return the task with mean, spread and range of these cases."""
        if self.means:
            return self
        parts = (np.nanmean, np.nanstd, np.nanmin, np.nanmax)
        means, spreads, lows, highs = ([float(x) for x in part(wanted, axis=0)] for part in parts)
        return type(self)(self.names, self.unit, means, spreads, lows, highs)

    def _joined(self, fits: Sequence[Self]) -> Self:
        """Values in units of the mean spread about the mean of the means (our choice: it changes no value)."""
        means, spreads = [fit.means for fit in fits], [fit.spreads for fit in fits]
        lows, highs = np.min([fit.lows for fit in fits], axis=0), np.max([fit.highs for fit in fits], axis=0)
        return type(self)(self.names, self.unit, means, spreads, lows.tolist(), highs.tolist())

    def of_member(self, outputs: "Float[Tensor, 'slides outputs']", member: int) -> "Float[Tensor, 'slides outputs']":
        if not self.members:
            return outputs
        exactly = outputs.double()
        means, spreads = (exactly.new_tensor(part) for part in self.members[member])
        return (means + spreads * exactly - exactly.new_tensor(self.means)) / exactly.new_tensor(self.spreads)

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the mean squared error over what is known, in squared standard deviations."""
        if not self.means:
            raise ValueError("fit the task on its training cases first: mean and spread are not known")
        outputs, known = exact(outputs, wanted), wanted.isfinite()
        truth = (wanted - outputs.new_tensor(self.means)) / outputs.new_tensor(self.spreads)
        return (outputs - truth.nan_to_num()).square().where(known, 0.0).sum() / known.sum().clamp(min=1)

    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> Values:
        """Return the values, with their conformal intervals."""
        if self.members and folds is not None:
            outputs, folds = together(self, self.members, folds)
        if calibration and len(calibration.thresholds) not in (0, len(self.names)):
            raise MismatchError(f"{len(calibration.thresholds)} intervals are calibrated for {len(self.names)} values.")
        means, spreads = outputs.new_tensor(self.means).double(), outputs.new_tensor(self.spreads).double()
        alone = () if folds is None else (means + spreads * folds.double()).tolist()
        return Values(
            self.names,
            tuple((means + spreads * outputs.double()).tolist()),
            self.unit,
            tuple(zip(self.lows, self.highs, strict=True)),
            calibration.thresholds if calibration else (),
            calibration.level if calibration else 0.0,
            tuple(map(tuple, alone)),
        )


TASK = Regression
