"""Settings of the downstream protocols; they import nothing heavy, as every start of ``pathlupi`` reads them."""

from dataclasses import dataclass

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.evaluation.retrieval import RANKS
from napari_pathlupi.evaluation.survival_probe import ALPHA


@dataclass(frozen=True, slots=True)
class DownstreamConfig:
    """How embeddings are tested; what is not named here is as published with Threads.

    Parameters
    ----------
    folds
        Number of folds where no official split is given, stratified by patient.
    seed
        Of folds, few shots, clusters and resamples.
    resamples
        Of the patients, for the 95 % intervals; the paper takes 100.
    """

    folds: int = 5
    seed: int = 0
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.folds < 2 or self.resamples < 100:
            raise SettingsError(
                f"{self.folds} folds and {self.resamples} resamples are too few: 2 and 100 are needed at least."
            )


@dataclass(frozen=True, slots=True)
class ProbeSettings(DownstreamConfig):
    """How the probes are fitted.

    Parameters
    ----------
    cost
        Of the linear probe: inverse strength of its penalty.
    alpha
        Of the survival probe: strength of its penalty; 0 takes 0.01 where the columns name a progression, else 0.07.
    l1_ratio
        Of the survival probe: share of the L1 norm in its penalty.
    shots
        Cases of each class to learn from, besides all of them: 1 2 4 8 16 32 in the paper.
    repeats
        How often few cases are drawn in each fold.
    """

    cost: float = 0.5
    alpha: float = 0.0
    l1_ratio: float = 0.5
    shots: tuple[int, ...] = ()
    repeats: int = 5

    def alpha_for(self, endpoint: Endpoint) -> float:
        """Return the strength of the survival probe's penalty."""
        named = " ".join(endpoint.columns).lower()
        progression = any(word in named for word in ("pfs", "pfi", "progress"))
        return self.alpha or ALPHA["PFS" if progression else "OS"]


@dataclass(frozen=True, slots=True)
class RetrievalSettings(DownstreamConfig):
    """How nearest slides are looked up.

    Parameters
    ----------
    ranks
        At how many retrieved slides the mean average precision is taken.
    clusters
        Whether k-means is tried too: adjusted Rand index and mutual information.
    """

    ranks: tuple[int, ...] = RANKS
    clusters: bool = False

    def __post_init__(self) -> None:
        DownstreamConfig.__post_init__(self)
        if not self.ranks or min(self.ranks) < 1:
            raise SettingsError(f"the ranks {self.ranks} are not possible: each must be 1 or more.")


@dataclass(frozen=True, slots=True)
class BenchConfig(ProbeSettings):
    """How tasks are run.

    Parameters
    ----------
    scheduler
        Empty for one after another; threads or processes (faster) of this machine, or the address of a Dask scheduler.
    workers
        How many threads or processes.
    """

    scheduler: str = ""
    workers: int = 2
