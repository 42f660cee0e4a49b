"""A prediction from features that another tool made of the chosen slide, asking for what their file does not say."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

from qtpy.QtWidgets import QInputDialog

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import PathlupiError, UnstatedError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.runs import UNLIKE, Run
from napari_pathlupi.session import Session
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._work import Work, at_once


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """Features of a slide for a model; `run` belongs in a worker thread.

    Parameters
    ----------
    path, slide, bundle
        The file of features, what they were made from, and what judges them.
    stated
        What the file does not say.
    """

    path: Path
    slide: Slide
    bundle: Bundle
    stated: Stated

    def run(self) -> Prediction:
        """Return the prediction, or raise why there is none."""
        from napari_pathlupi.workflows.prediction.features import features_of, predict_bag

        bag = features_of(self.path, self.slide, self.stated)
        return predict_bag(bag, self.bundle, self.slide.path.name, keep_features=True)


def attach(path: Path, slide: Slide | None, bundle: Bundle | None, session: Session) -> None:
    """Predict from features of a slide and show what came of it as a run of the session."""
    if slide is None or bundle is None:
        session.say("Open the slide of the features and choose a model first.")
        return
    _start(Attachment(path, slide, bundle, Stated()), session)


def _start(what: Attachment, session: Session) -> None:
    work = Work(at_once(what.run), f"Reading features of {what.slide.path.name}")
    work.ended.connect(partial(_ended, what, session))


def _ended(what: Attachment, session: Session, outcome: Prediction | PathlupiError) -> None:
    if isinstance(outcome, UnstatedError):
        if (stated := _asked(what, outcome)) is not None:
            _start(replace(what, stated=stated), session)
    elif isinstance(outcome, PathlupiError):
        session.say(str(outcome))
    else:
        words = f"Read the features of {len(outcome.grid):,} tiles in {what.path.name}, no pixel."
        words = words if outcome.reference.supported else UNLIKE
        session.take(Run(uuid4().hex, what.slide.frame, "features of others", outcome), words, what.bundle)


def _asked(what: Attachment, error: UnstatedError) -> Stated | None:
    """What a person answers, None for nothing; the model's encoder is proposed, never assumed."""
    proposed = what.bundle.card.patch_encoder.name if error.what == "encoder" else ""
    kind = type(getattr(Stated(), error.what))
    answer, _ = QInputDialog.getText(None, "Attach features", f"{error.words}:", text=proposed)
    try:
        return replace(what.stated, **{error.what: kind(answer.strip())}) if answer.strip() else None
    except ValueError:
        return None
