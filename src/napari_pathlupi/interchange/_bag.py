"""From what a file and the user say to a bag: checked against each other, asking for what nobody says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.core.placed import placed_tiles
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import FeaturesError, MismatchError, UnstatedError
from napari_pathlupi.interchange._names import encoder_named
from napari_pathlupi.interchange._told import Stated, Told

SAME_SCALE = 0.15
"""Share by which the true side of a tile may differ from its nominal one: TRIDENT snaps 0.22 to 0.28 µm/px to 40x. Our
choice."""
WORTH_A_NOTE = 0.02
"""Share from which it is told (our choice)."""
MOST_PX0 = 4_000_000
"""Largest coordinate that is believed where no slide says its size (our choice)."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a bag is made from.

    Parameters
    ----------
    path
        The file, for messages.
    told, stated
        What it says, and what the user adds.
    frame, fingerprint
        Of the slide; None and "" when it is not there.
    """

    path: Path
    told: Told
    stated: Stated
    frame: SlideFrame | None
    fingerprint: str

    def bag(self) -> FeatureBag:
        """Return the bag, or raise what `read_bag` does."""
        told, name = self.told, self.path.name
        self._must_be_of_the_slide()
        if not len(told.features) or not np.isfinite(told.features).all():
            bad = int((~np.isfinite(told.features)).sum())
            raise FeaturesError(
                f"{name} holds {len(told.features)} tiles and {bad} numbers that are not finite: extract the features "
                "again."
            )
        encoder = self._encoder()
        mpp = self._mpp()
        side = self._side_px0(mpp)
        tile_px = self.told.tile_px or self.stated.tile_px or _entry_sides(encoder)[0]
        if not tile_px:
            raise UnstatedError(
                f"{name} does not say how many pixels wide the tiles shown to {encoder} were", "tile_px"
            )
        grid = self._grid(mpp, side, tile_px)
        identity, notes = self._identity(encoder, grid)
        source = f"{told.tool} ({name})"
        return FeatureBag(told.features, grid, identity, self.fingerprint or told.fingerprint, source, notes)

    def _must_be_of_the_slide(self) -> None:
        told, frame = self.told, self.frame
        if frame is not None and told.shape_px0 and told.shape_px0 != frame.shape_px0:
            raise MismatchError(
                f"{self.path.name} was made from a slide of {_size(told.shape_px0)}, this one has "
                f"{_size(frame.shape_px0)}: choose the slide that belongs to the features."
            )
        if self.fingerprint and told.fingerprint and told.fingerprint != self.fingerprint:
            raise MismatchError(
                f"{self.path.name} was made from another slide (fingerprint {told.fingerprint[:8]}…, this one "
                f"{self.fingerprint[:8]}…): choose the slide that belongs to the features."
            )

    def _encoder(self) -> str:
        told, stated = encoder_named(self.told.encoder), encoder_named(self.stated.encoder)
        name, dim = stated or told, self.told.features.shape[1]
        if not name:
            raise UnstatedError(
                f"{self.path.name} does not say which encoder made its {dim} numbers per tile", "encoder"
            )
        if told and stated and told != stated and told in patch_encoders:
            raise MismatchError(f"{self.path.name} says that {told} made its features, not {stated}.")
        if name in patch_encoders and patch_encoders[name].dim != dim:
            raise MismatchError(
                f"{name} gives {patch_encoders[name].dim} numbers per tile, {self.path.name} holds {dim}: "
                "name the encoder that made them with --encoder."
            )
        return name

    def _mpp(self) -> Mpp:
        told = self.told
        if self.frame is not None and self.frame.mpp is not None:
            return self.frame.mpp
        if self.stated.scale and told.power and not told.mpp:
            mpp = 10 / told.power
            return Mpp(mpp, mpp, f"{told.tool} took the slide for {told.power}x")
        if self.stated.mpp:
            return Mpp(self.stated.mpp, self.stated.mpp, "stated by the user")
        if told.mpp:
            return Mpp(*told.mpp, told.mpp_source)
        if told.side_px0 and told.side_um:
            mpp = told.side_um / told.side_px0
            return Mpp(mpp, mpp, f"size of the tiles in {self.path.name}")
        nominal = f"say --scale nominal for the {told.power}x that {told.tool} took it for, or " if told.power else ""
        raise UnstatedError(
            f"{self.path.name} does not say how many µm a pixel of its slide is wide",
            "mpp",
            f"{nominal}give the slide with --slide or µm per pixel",
        )

    def _side_px0(self, mpp: Mpp) -> float:
        side = self.told.side_px0 or self.stated.tile_px0 or (self.told.side_um or 0) / mpp.mean
        if not side:
            raise UnstatedError(
                f"{self.path.name} does not say how many level-0 pixels wide a tile is{self._spacing()}", "tile_px0"
            )
        return side

    def _spacing(self) -> str:
        """The distance of most neighbours, which a user may recognise."""
        if self.told.places is None:
            return ""
        steps = np.diff(np.unique(self.told.places[:, 0]))
        return f" (columns lie {np.median(steps):g} apart)" if len(steps) else ""

    def _places_px0(self, mpp: Mpp) -> npt.NDArray[np.float64]:
        told, stated = self.told, self.stated
        if told.places is None:
            raise UnstatedError(
                f"{self.path.name} does not say where its tiles lie", "coords", "name the file with the coordinates"
            )
        if len(told.places) != len(told.features):
            raise FeaturesError(
                f"{self.path.name} has {len(told.features)} tiles and {len(told.places)} coordinates: they belong to "
                "different files."
            )
        unit = told.unit or stated.unit
        if unit not in ("px", "um"):
            raise UnstatedError(
                f"{self.path.name} does not say whether its coordinates are level-0 pixels or µm",
                "unit",
                "say px or um",
            )
        corners = told.places[:, ::-1]
        return corners / (mpp.y, mpp.x) if unit == "um" else corners.copy()

    def _grid(self, mpp: Mpp, side: float, tile_px: int) -> TileGrid:
        corners = self._places_px0(mpp) - (side / 2 if self.told.centred else 0.0)
        extent = np.array(self.frame.shape_px0 if self.frame else (MOST_PX0, MOST_PX0))
        off = np.flatnonzero(~(np.isfinite(corners) & (corners > -side) & (corners < extent)).all(axis=1))
        if len(off) or side < 1:
            at = f", the first at (x, y) = ({corners[off[0], 1]:g}, {corners[off[0], 0]:g})" if len(off) else ""
            raise MismatchError(
                f"{len(off)} of {len(corners)} tiles of {self.path.name}, {side:g} px wide, lie off the slide{at}: "
                "check slide, --mpp and --unit."
            )
        grid = placed_tiles(corners, tile_px, side * mpp.mean / tile_px, mpp, self.told.tissue_ids)
        return grid if self.told.coverage is None else replace(grid, coverage=self.told.coverage)

    def _identity(self, encoder: str, grid: TileGrid) -> tuple[EncoderIdentity, tuple[str, ...]]:
        """What the vectors are recognised by: at the encoder's nominal scale when the true one is near enough."""
        told, notes = self.told, list(self.told.notes)
        tile_px, mpp = _entry_sides(encoder)
        if tile_px and abs(grid.tile_um / (tile_px * mpp) - 1) <= SAME_SCALE:
            if abs(grid.tile_um / (tile_px * mpp) - 1) > WORTH_A_NOTE:
                notes.append(
                    f"Tiles are {grid.tile_um:.1f} µm wide where {encoder} is meant for {tile_px * mpp:g} µm: they "
                    "were read at a rounded magnification."
                )
        else:
            tile_px, mpp = grid.tile_px, grid.mpp
        if not told.version:
            notes.append(f"{told.tool} does not say which weights of {encoder} made the features.")
        return EncoderIdentity(encoder, told.version, told.features.shape[1], tile_px, mpp), tuple(notes)


def _entry_sides(encoder: str) -> tuple[int, float]:
    """Pixels and µm per pixel of the tiles that an encoder is meant for; 0 where the catalogue does not know it."""
    if encoder not in patch_encoders:
        return 0, 0.0
    entry = patch_encoders[encoder]
    return entry.tile_px, entry.mpp


def _size(shape_px0: Sequence[int]) -> str:
    return f"{shape_px0[1]:,} × {shape_px0[0]:,} px"
