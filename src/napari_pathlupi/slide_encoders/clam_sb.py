"""CLAM with a single attention branch: ABMIL that also learns which tiles are typical of a class."""

from typing import ClassVar

from napari_pathlupi.slide_encoders._clam import CLAM


class ClamSB(CLAM):
    """One attention for all classes; see `CLAM`."""

    branches: ClassVar[bool] = False


ENCODER = ClamSB
