"""Which engine runs a network on a processor, and whether it says the same as torch does."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import InferenceError, MissingExtraError, NotFoundError, SettingsError
from napari_pathlupi.slides import Slide
from napari_pathlupi.workflows.device import Device

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.core.features import EncoderIdentity
    from napari_pathlupi.patch_encoders._encoder import Loaded

ENGINES = ("auto", "torch", "openvino")
COMPARED_TILES = 8
"""Tiles of a slide that both engines encode first (our choice): less than a second of the usual networks."""
LEAST_COSINE = 0.9999
"""Below this an engine is not used: float32 sums in another order differ by a millionth (our choice)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two engines encode the same tiles.

    Parameters
    ----------
    tiles
        How many were compared.
    cosine
        The smallest cosine between the two vectors of a tile.
    centred
        The same after the mean vector of these tiles is taken off, as networks give all tiles a common part.
    difference
        The largest difference of two numbers.
    """

    tiles: int
    cosine: float
    centred: float
    difference: float

    @property
    def good(self) -> bool:
        """Whether they say the same."""
        return self.cosine >= LEAST_COSINE

    def __str__(self) -> str:
        return (
            f"OpenVINO against torch on the first {self.tiles} tiles: cosine at least {self.cosine:.7f} "
            f"({self.centred:.4f} about their mean), largest difference {self.difference:.2g}."
        )


def choose_engine(loaded: "Loaded", wish: str, device: Device, int8: bool = False) -> "Loaded":
    """Return an encoder in the engine wished for; "auto" is OpenVINO for convolution nets on a CPU where it is there.

    Parameters
    ----------
    loaded, device
        The encoder in torch, and what it is on.
    wish
        One of `ENGINES`.
    int8
        Whether to compute in whole numbers of 8 bits, in OpenVINO and no other: several times as fast, and not the
        same. Calibrated on `calibration_tiles`, so that every worker of a cluster gets the same network.

    Raises
    ------
    NotFoundError, SettingsError
        When there is no such engine, or it gains nothing here.
    MissingExtraError, InferenceError
        When OpenVINO was asked for and is absent, broken or cannot run the network.
    """
    _must_be_possible(wish, int8)
    if wish == "torch" or loaded.engine == "openvino":
        return loaded
    from napari_pathlupi.patch_encoders._engine import is_convolutional, on_openvino

    network = loaded.network
    if network is None or device.name != "cpu" or not is_convolutional(network):
        if wish == "openvino" or int8:
            raise SettingsError(
                f"OpenVINO gains nothing for {loaded.identity.name} on {device.name}: it is for convolution nets on "
                "the CPU; choose the engine auto."
            )
        return loaded
    calibration = calibration_tiles(loaded.identity) if int8 else None
    try:
        return on_openvino(loaded, device.encoders, calibration)
    except (MissingExtraError, InferenceError):
        if wish == "openvino" or int8:
            raise
        return loaded


def _must_be_possible(wish: str, int8: bool) -> None:
    if wish not in ENGINES:
        raise NotFoundError(f"no engine is called {wish!r}: known: {', '.join(ENGINES)}.")
    if int8 and wish == "torch":
        raise SettingsError("torch does not compute int8 here: choose the engine auto or openvino, or leave out int8.")


def calibration_tiles(encoder: "EncoderIdentity") -> "Tensor":
    """(16, tile_px, tile_px, 3) uint8 of four simulated slides: always the same, and no patient's (our choice)."""
    import torch

    from napari_pathlupi.simulation.config import SimulationConfig
    from napari_pathlupi.simulation.programmes import draw_case
    from napari_pathlupi.simulation.rendering import render

    side = encoder.tile_px
    whole = max(2048, 4 * side)
    config = SimulationConfig(cases=4, seed=11, shape_px=(whole, whole), mpp=encoder.mpp)
    start = whole // 2 - side
    pictures = [render(draw_case(config, index), (start, start), (2 * side, 2 * side)) for index in range(4)]
    corners = [(top, left) for top in (0, side) for left in (0, side)]
    tiles = [picture[top : top + side, left : left + side] for picture in pictures for top, left in corners]
    return torch.from_numpy(np.stack(tiles))


def compare(torch_one: "Loaded", other: "Loaded", slide: Slide, grid: TileGrid) -> Agreement:
    """Return how alike two engines encode the first tiles of a slide.

    Raises
    ------
    InferenceError
        When one of them fails.
    SlideError
        When a tile cannot be decoded.
    """
    import torch

    count = min(COMPARED_TILES, len(grid))
    scale = grid.mpp / grid.slide_mpp.y, grid.mpp / grid.slide_mpp.x
    shape = grid.tile_px, grid.tile_px
    pictures = np.stack([slide.read_scaled((y, x), shape, scale) for y, x in grid.origins_px0[:count].tolist()])
    try:
        with torch.inference_mode():
            first, second = (one.encode(torch.from_numpy(pictures)).numpy() for one in (torch_one, other))
    except RuntimeError as error:
        raise InferenceError(f"the engines cannot be compared: {str(error).splitlines()[0]}") from error
    return agreement_of(first, second)


def agreement_of(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> Agreement:
    """Return how alike (N, D) vectors of two engines are."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    centred = _least_cosine(first - first.mean(axis=0), second - second.mean(axis=0))
    return Agreement(len(first), _least_cosine(first, second), centred, float(np.abs(first - second).max()))


def _least_cosine(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.where(lengths > 0, (first * second).sum(axis=1) / np.maximum(lengths, 1e-300), 1.0).min())
