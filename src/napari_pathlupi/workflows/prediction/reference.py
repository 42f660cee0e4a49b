"""How far a slide lies from those that a model learned from."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

FOLDS = 10
SHARE_BELOW = 0.99


class Reference(nn.Module):
    """Mean and spread of the mean tile vectors of the training cases.

    Parameters
    ----------
    dim
        Length of a vector.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("whitening", torch.eye(dim))

    def forward(self, vector: Float[Tensor, " dim"]) -> Float[Tensor, ""]:
        """Return the Mahalanobis distance of one slide's mean tile vector."""
        distance: Tensor = torch.linalg.vector_norm(self.whitening @ (vector - self.mean))
        return distance

    def fit(self, vectors: npt.NDArray[np.float64]) -> float:
        """Learn the training cases and return the distance below which 99 % of slides like them lie.

        Covariance by Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J.
        Multivariate Anal. 88:365, 2004. The limit is the 99th percentile of distances of *held-back* cases (ten-fold
        cross-validation; our choice): cases that took part in the fit lie too near by construction.

        Parameters
        ----------
        vectors
            (cases, dim) mean standardised tile vectors, at least two cases.
        """
        from sklearn.model_selection import KFold

        mean, whitening = _fitted(vectors)
        self.mean.copy_(torch.from_numpy(mean))
        self.whitening.copy_(torch.from_numpy(whitening))
        folds = KFold(min(FOLDS, len(vectors)), shuffle=True, random_state=0)
        distances = [
            _distances(vectors[held_back], *_fitted(vectors[kept])) for kept, held_back in folds.split(vectors)
        ]
        return float(np.quantile(np.concatenate(distances), SHARE_BELOW))


def _fitted(vectors: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean, and the inverse of the Cholesky factor of the covariance."""
    from sklearn.covariance import LedoitWolf

    model = LedoitWolf().fit(vectors)
    return model.location_, np.linalg.inv(np.linalg.cholesky(model.covariance_))


def _distances(
    vectors: npt.NDArray[np.float64], mean: npt.NDArray[np.float64], whitening: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.norm((vectors - mean) @ whitening.T, axis=1))
