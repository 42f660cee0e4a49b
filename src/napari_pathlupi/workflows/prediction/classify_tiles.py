"""Other people's tile classifiers as models: each tile is classified for itself, the slide by shares of its tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from napari_pathlupi.bundle import Bundle, Card, CataloguePart, PatchEncoderPart, list_bundles, load_bundle
from napari_pathlupi.core.answers import TileShares
from napari_pathlupi.core.results import TILE_PROBABILITY, ReferenceCheck
from napari_pathlupi.errors import InferenceError
from napari_pathlupi.interchange.wsinfer import WsinferModel, is_wsinfer, read_wsinfer
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.patch_encoders._published import Preparation
from napari_pathlupi.tasks._task import PALETTE

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.workflows.prediction.model import SlideOutput

UNCHECKED = float("nan")
NOT_STATED = "not stated in the folder"


@dataclass(frozen=True, slots=True, eq=False)
class TileClassifier(Bundle):
    """A model of WSInfer, to be chosen, shown and run like any other; its "features" are the class probabilities.

    Parameters
    ----------
    model
        What its folder holds.
    """

    model: WsinferModel

    @classmethod
    def of(cls, model: WsinferModel) -> Self:
        """Return a folder of WSInfer as a model of ours."""
        return cls(_card(model), {}, {}, model.folder, model.digest, model)

    @property
    def evidence_names(self) -> Sequence[str]:
        """Its classes."""
        return self.model.config.class_names

    embeds_by = ""
    """It makes no embedding."""
    mapped_sets = ()
    """It knows no gene sets."""

    def load(self, device: str) -> Loaded:
        """Return what turns tiles into class probabilities on a device.

        Raises
        ------
        BundleError
            When its network is no TorchScript.
        """
        import torch

        from napari_pathlupi.patch_encoders._loading import Prepared

        config = self.model.config
        resize_px = config.resize_px or 0
        side = resize_px or config.patch_size_pixels
        preparation = Preparation(side, resize_px, mean=config.mean, std=config.std)
        network = Prepared(self.model.network(device), preparation, config.patch_size_pixels).to(device).eval()

        @torch.inference_mode()
        def classify(tiles: "Tensor") -> "Tensor":
            return self.model.probabilities(network(tiles))

        return Loaded(classify, self.card.patch_encoder.identity)

    def infer(self, probabilities: npt.NDArray[np.float32]) -> "SlideOutput":
        """Return what (N, C) class probabilities of tiles say of their slide: shares of the tiles, all alike.

        Raises
        ------
        InferenceError
            When a probability is not a finite number.
        """
        from napari_pathlupi.workflows.prediction.model import SlideOutput

        if not len(probabilities) or not np.isfinite(probabilities).all():
            raise InferenceError(f"{self.card.title} gave probabilities that are no numbers: choose another device.")
        colours = [PALETTE[i % len(PALETTE)] for i in range(len(self.evidence_names))]
        answer = TileShares.of(self.evidence_names, probabilities, colours)
        return SlideOutput(
            answer=answer,
            outputs=np.array(answer.means, np.float32),
            attention=None,
            evidence=probabilities,
            evidence_method=TILE_PROBABILITY,
            activity={},
            reference=ReferenceCheck(UNCHECKED, UNCHECKED),
        )


def load_model(path_or_name: str | Path) -> Bundle:
    """Return a model: a packaged one by its name, a bundle's folder, or a folder of WSInfer.

    Raises
    ------
    BundleError
        When there is none, or it is damaged.
    """
    folder = Path(path_or_name)
    if str(path_or_name) not in list_bundles() and is_wsinfer(folder):
        return TileClassifier.of(read_wsinfer(folder))
    return load_bundle(path_or_name)


def _card(model: WsinferModel) -> Card:
    config, name = model.config, model.folder.resolve().name
    encoder = PatchEncoderPart(
        name=f"wsinfer:{name}",
        version=model.digest[:16],
        dim=config.num_classes,
        tile_px=config.patch_size_pixels,
        mpp=config.spacing_um_px,
    )
    return Card(
        name=name,
        title=name,
        description=f"Tile classifier of WSInfer ({config.architecture}): {', '.join(config.class_names)}.",
        trained_on=NOT_STATED,
        limits="It names a class for any picture: whether a slide is like those it learned from is not checked.",
        licence=NOT_STATED,
        gated=False,
        source=str(model.folder),
        created=NOT_STATED,
        patch_encoder=encoder,
        slide_encoder=CataloguePart(name="tile shares"),
        task=CataloguePart(name="tile classification", settings={"classes": list(config.class_names)}),
        reference_limit=0.0,
    )
