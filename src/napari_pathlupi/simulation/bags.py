"""Bags of tile vectors in which a few tiles carry traces of a molecular profile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SettingsError

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BagConfig:
    """How tiles come to look as they do; every number is our choice.

    Parameters
    ----------
    dim
        Length of a tile's vector.
    tiles
        Fewest and most tiles of a bag.
    carrying
        Mean share of the tiles of a bag that carry a trace; between cases it varies by half of itself either way.
    lookalikes
        Mean share of tiles that look like those but for the trace.
    decoy
        Strength of a false trace on them, that of nobody, beside a true one of 1.
    programmes
        Number of hidden programmes of the tissue, each a random mixture of columns of the profile.
    case_noise
        How much of a programme in the tissue is not in the profile: standard deviations beside one of signal.
    tile_noise
        The same from tile to tile of a case.
    bend
        How far from linear the way is from programmes to features: radians of a sine per standard deviation.
    trace
        Standard deviation that a trace adds to a feature, beside one of noise.
    kinds
        Number of kinds of other tissue.
    contrast
        Distance between the kinds, in standard deviations of a feature.
    likeness
        0: look-alikes are as far from the tiles that carry as other kinds are; 1: nothing but the trace differs.
    batch
        Standard deviation of what all tiles of a case share and has no meaning: stain, scanner.
    """

    dim: int = 128
    tiles: tuple[int, int] = (120, 200)
    carrying: float = 0.12
    lookalikes: float = 0.25
    decoy: float = 0.0
    programmes: int = 32
    case_noise: float = 0.2
    tile_noise: float = 0.7
    bend: float = 1.2
    trace: float = 0.6
    kinds: int = 8
    contrast: float = 0.25
    likeness: float = 0.7
    batch: float = 0.7

    def __post_init__(self) -> None:
        low, high = self.tiles
        shares = self.carrying > 0 and self.lookalikes >= 0 and 1.5 * (self.carrying + self.lookalikes) < 1
        if not (1 <= low <= high and shares and min(self.dim, self.programmes, self.kinds) >= 1):
            raise SettingsError(
                f"bags of {low} to {high} tiles, {self.carrying:g} carrying and {self.lookalikes:g} look-alikes, "
                "cannot be simulated: give one tile or more, and shares that leave room for other tissue."
            )


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedBags:
    """What was simulated.

    Parameters
    ----------
    features
        Per case (tiles, dim) vectors, float32.
    carrying
        Per case (tiles,): which tiles carry the trace of their case.
    """

    features: Sequence[npt.NDArray[np.float32]]
    carrying: Sequence[npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class _World:
    """What all cases of a world share."""

    mixing: Array  # columns of the profile × programmes
    inner: Array  # programmes × hidden
    offset: Array  # hidden
    outer: Array  # hidden × dim
    centres: Array  # kinds + carrying + look-alike × dim
    stains: Array  # STAINS × dim


HIDDEN = 32
"""Width of the nonlinear map from programmes to features."""
STAINS = 4
"""In how many ways the stain of cases differs."""


def simulate_bags(profiles: Array, world: int, config: BagConfig | None = None) -> SimulatedBags:
    """Return one bag per row of ``profiles``.

    ::

        u = mixture of the row's columns, plus case noise                    programmes of a case
        t = u + tile noise                                                   the same, as one tile shows it
        x = centre of the kind + batch of the case + trace · f(t) + noise    f: two layers with a sine, spread 1

    Only tiles that carry have a trace. With ``decoy`` a look-alike has one of a ``t`` that is nobody's, drawn afresh.
    The order of the tiles means nothing. A case's bag depends on the world, its row and its own number only, not on
    how many cases there are.

    Parameters
    ----------
    profiles
        (cases, columns) what the tissue follows, each column of mean 0 and standard deviation 1: activities of gene
        sets, or a label in as many columns as it has classes.
    world
        Seed of everything: maps, kinds, noise.
    config
        How hard it is.
    """
    config = config or BagConfig()
    shared = _draw_world(profiles.shape[1], world, config)
    drawn = [_draw_case(row, shared, np.random.default_rng([world, 1, i]), config) for i, row in enumerate(profiles)]
    return SimulatedBags([features for features, _ in drawn], [carrying for _, carrying in drawn])


def _draw_world(columns: int, world: int, config: BagConfig) -> _World:
    random = np.random.default_rng([world, 0])
    mixing = random.normal(size=(columns, config.programmes)) * (random.random((columns, config.programmes)) < 0.2)
    mixing[random.integers(columns, size=config.programmes), np.arange(config.programmes)] += 1.0  # none is empty
    inner = random.normal(size=(config.programmes, HIDDEN)) / np.sqrt(config.programmes)
    offset = random.uniform(0, 2 * np.pi, HIDDEN)
    outer = random.normal(size=(HIDDEN, config.dim)) * np.sqrt(2 / HIDDEN)
    centres = config.contrast * random.normal(size=(config.kinds + 2, config.dim))
    carrying, lookalike = centres[-2:]
    centres[-1] = config.likeness * carrying + (1 - config.likeness) * lookalike
    stains = random.normal(size=(STAINS, config.dim)) / np.sqrt(STAINS)
    return _World(mixing / np.linalg.norm(mixing, axis=0), inner, offset, outer, centres, stains)


def _draw_case(
    profile: Array, world: _World, random: np.random.Generator, config: BagConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    count = int(random.integers(config.tiles[0], config.tiles[1], endpoint=True))
    kind = _kinds(count, random, config)
    carrying, lookalike = kind == config.kinds, kind == config.kinds + 1
    programmes = profile @ world.mixing + config.case_noise * random.normal(size=config.programmes)
    shown = random.normal(size=(count, config.programmes)) * np.hypot(1.0, config.case_noise)
    shown[carrying] = programmes
    shown += config.tile_noise * random.normal(size=shown.shape)
    trace = np.sin(config.bend * shown @ world.inner + world.offset) @ world.outer
    features = world.centres[kind] + config.batch * random.normal(size=STAINS) @ world.stains
    features += config.trace * trace * (carrying + config.decoy * lookalike)[:, None]
    features += random.normal(size=features.shape)
    return features.astype(np.float32), carrying


def _kinds(count: int, random: np.random.Generator, config: BagConfig) -> npt.NDArray[np.int64]:
    """Kind of each tile: 0 ... kinds - 1 other tissue, then carrying (at least one), then look-alike."""
    shares = np.array([config.carrying, config.lookalikes]) * random.uniform(0.5, 1.5, 2)
    carrying, lookalikes = np.maximum((shares * count).round().astype(int), (1, 0))
    kind = random.choice(config.kinds, count, p=random.dirichlet(np.ones(config.kinds)))
    kind[:carrying], kind[carrying : carrying + lookalikes] = config.kinds, config.kinds + 1
    return random.permutation(kind)
