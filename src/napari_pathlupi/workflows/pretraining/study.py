"""A pre-training from files to a folder with the encoder, its log and its state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from napari_pathlupi.bundle import CARD, CataloguePart, PatchEncoderPart
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.workflows.device import device_named
from napari_pathlupi.workflows.parallel import joined, rank, wait
from napari_pathlupi.workflows.pretraining.config import PretrainStudy
from napari_pathlupi.workflows.pretraining.data import PretrainData, pretrain_data_steps
from napari_pathlupi.workflows.pretraining.file import written
from napari_pathlupi.workflows.pretraining.pretrain import Pretraining, pretrain_steps
from napari_pathlupi.workflows.pretraining.pretrained import (
    Pretrained,
    PretrainedCard,
    molecular_parts,
    save_pretrained,
)
from napari_pathlupi.workflows.training.run_folder import LOG, StudyLog, claim
from napari_pathlupi.workflows.training.train import Watch

STATE, ENCODER = "state.pt", "encoder"
GOLDEN_TILES = 16


def pretrain_study_steps(config: PretrainStudy, cancel: CancelFlag | None = None) -> Steps[Path]:
    """Yield progress and return the folder of a pre-training.

    It holds ``config.toml`` as run, ``log.jsonl`` (what was read and matched, then a line per epoch), ``encoder/`` (see
    `napari_pathlupi.workflows.pretraining.pretrained`), and while it runs ``state.pt`` and ``best.pt``. A run that was
    stopped or killed goes on after the last whole epoch, to the same weights.

    Raises
    ------
    Cancelled
        When asked to stop; the same call goes on.
    OutputError
        When the folder holds another run or cannot be written.
    PathlupiError
        When a table, a bag or a setting cannot be used; the message names it.
    """
    folder = Path(config.run.out)
    config = replace(config, training=replace(config.training, device=device_named(config.training.device)))
    with joined(config.training.device):
        if not rank():
            claim(folder, written(config), [STATE, f"{ENCODER}/{CARD}"])
        wait()
        if (folder / ENCODER / CARD).is_file():
            return folder
        data = yield from pretrain_data_steps(config)
        log = StudyLog(folder / LOG)
        paired = data.cases.paired
        pairs = {kind: int(count) for kind, count in zip(("rna", "dna"), paired.sum(axis=0), strict=True)}
        log.tell({"event": "begun", "notes": list(data.notes), "cases": len(paired), "pairs": pairs})
        done = yield from pretrain_steps(
            data.cases, config.training, Watch(state=folder / STATE, tell=log.tell), cancel
        )
        if not rank():
            yield Progress("Writing", 0, 0)
            _save(folder / ENCODER, config, data, done)
            log.tell({"event": "done", "epoch": done.epoch})
            for name in (STATE, "best.pt"):
                (folder / name).unlink(missing_ok=True)
        wait()
    return folder


def told(folder: Path) -> str:
    """Return in lines what a pre-training in a folder learned from and what it came to."""
    lines = StudyLog(folder / LOG).lines()
    begun = [line for line in lines if line.get("event") == "begun"][-1]
    epochs = {line["epoch"]: line for line in lines if "loss" in line}  # what was told again counts
    pairs = ", ".join(f"{count} with {kind.upper()}" for kind, count in begun["pairs"].items())
    last = epochs[max(epochs)]
    chosen = epochs[last["best"]]
    return "\n".join(
        [
            *begun["notes"],
            f"{begun['cases']} cases, {pairs}; {len(epochs)} epochs, the last with a loss of {last['loss']:.3f}.",
            f"Epoch {chosen['epoch']} is taken: loss {chosen['loss']:.3f}, rank {chosen['rank']:.1f}.",
        ]
    )


def _save(folder: Path, config: PretrainStudy, data: PretrainData, done: Pretraining) -> None:
    cases, training = data.cases, config.training
    kinds = " and ".join(kind.upper() for kind in cases.molecules)
    check = done.checks[done.epoch - 1]
    card = PretrainedCard(
        name="".join(c if c.isalnum() else "-" for c in config.run.title.lower()).strip("-"),
        title=config.run.title,
        description=f"{training.slide_encoder}: slide embeddings that lie near to the {kinds} of their patient.",
        trained_on=f"{len(cases.tiles)} cases, tiles of {cases.identity}. {_matched(data.notes)}",
        limits="Not tested by its pre-training: `pathlupi probe`, `retrieve` and `prompt` do that, on cases left out.",
        licence=config.run.licence,
        gated=False,
        source="pathlupi pretrain",
        created=date.today().isoformat(),
        metrics={"epoch": done.epoch, "loss": round(check.loss, 4), "rank": round(check.score, 2)},
        intended_use="Research on slides like those of its cases; nothing else.",
        patch_encoder=PatchEncoderPart.of(cases.identity),
        slide_encoder=CataloguePart(name=training.slide_encoder, settings=dict(training.settings)),
        molecular=molecular_parts(cases),
    )
    golden = cases.drawn(0, GOLDEN_TILES, np.random.default_rng(0))
    save_pretrained(folder, Pretrained(card, done.network.to("cpu")), golden)


def _matched(notes: Sequence[str]) -> str:
    return " ".join(note for note in notes if " cases have " in note)
