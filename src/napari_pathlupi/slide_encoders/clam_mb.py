"""CLAM with several attention branches: each class looks where it wants."""

from typing import ClassVar

from napari_pathlupi.slide_encoders._clam import CLAM


class ClamMB(CLAM):
    """One attention per class; see `CLAM`.

    The published network scores a class from its own branch alone; the linear head here reads all of them (our
    choice, so that every encoder has the same head).
    """

    branches: ClassVar[bool] = True


ENCODER = ClamMB
