"""One vector per slide or patient, and what is said of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import FeaturesError, MismatchError


@dataclass(frozen=True, slots=True, eq=False)
class SlideEmbedding:
    """One slide as a vector.

    Parameters
    ----------
    vector
        (dim,) float32.
    made_by
        Which encoder made it: its name, a digest of its weights, and its patch encoder.
    """

    vector: npt.NDArray[np.float32]
    made_by: str

    @classmethod
    def of(cls, vector: npt.NDArray[np.float32] | None, made_by: str) -> "SlideEmbedding | None":
        """Return the embedding, or None where there is no vector."""
        return None if vector is None else cls(vector, made_by)


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Vectors of one encoder, each with the slide or patient that it stands for.

    Parameters
    ----------
    names
        Of the slides or patients, each once.
    vectors
        (names, dim) float32, all finite.
    source
        Where they come from, for people.
    notes
        What was done to get them, a sentence each.
    made_by
        As of `SlideEmbedding`; "" where nobody says.
    """

    names: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    source: str = ""
    notes: tuple[str, ...] = ()
    made_by: str = ""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.names) or not self.vectors.size:
            raise FeaturesError(
                f"{self.source or 'the embeddings'}: {len(self.names)} names and vectors of the shape "
                f"{self.vectors.shape}; one row per name is needed, and at least one."
            )
        if len(set(self.names)) < len(self.names):
            twice = next(name for row, name in enumerate(self.names) if name in self.names[:row])
            raise FeaturesError(f"{self.source or 'the embeddings'}: {twice} is there twice; keep one vector of it.")
        finite = np.asarray(np.isfinite(self.vectors).all(axis=1))
        if not finite.all():
            raise FeaturesError(
                f"{self.source or 'the embeddings'}: {int((~finite).sum())} of {len(finite)} vectors hold numbers that "
                f"are not finite, the first that of {self.names[int(finite.argmin())]}; make them again."
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @classmethod
    def of(cls, vectors: Mapping[str, npt.NDArray[np.generic]], source: str = "") -> "Embeddings":
        """Return the embeddings of a mapping from name to vector.

        Raises
        ------
        MismatchError
            When the vectors have different lengths.
        """
        lengths = {name: np.ravel(vector).shape[0] for name, vector in vectors.items()}
        first = next(iter(lengths), "")
        other = next((name for name, length in lengths.items() if length != lengths[first]), None)
        if other is not None:
            raise MismatchError(
                f"{source}: the vector of {first} has {lengths[first]} numbers and that of {other} {lengths[other]}; "
                "vectors of one encoder are needed."
            )
        stacked = np.stack([np.ravel(v).astype(np.float32) for v in vectors.values()]) if vectors else np.empty((0, 0))
        return cls(tuple(vectors), np.asarray(stacked, dtype=np.float32), source)

    def mean_of(self, rows: Iterable[int]) -> npt.NDArray[np.float32]:
        """Return the mean vector of some rows: a patient with several slides."""
        return np.asarray(self.vectors[list(rows)].mean(axis=0), dtype=np.float32)
