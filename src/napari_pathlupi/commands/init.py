"""``pathlupi init train`` and ``pathlupi init pretrain``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    words = "write a commented file of a study, for `pathlupi train`"
    train = verbs.add_parser("train", help=words, description=f"{words[0].upper()}{words[1:]}.")
    train.add_argument("-o", "--out", type=Path, default=Path("study.toml"), help="the file (default study.toml)")
    train.add_argument("--preset", default="pathlupi-anchored", help="how to train (default pathlupi-anchored)")
    train.add_argument("--task", default="", help="a named task, such as brca-pam50; `list` names them")
    train.set_defaults(write=_write_study)
    words = "write a commented file of a pre-training, for `pathlupi pretrain`"
    pretrain = verbs.add_parser("pretrain", help=words, description=f"{words[0].upper()}{words[1:]}.")
    name = Path("pretraining.toml")
    pretrain.add_argument("-o", "--out", type=Path, default=name, help=f"the file (default {name})")
    pretrain.set_defaults(write=_write_pretraining)


def _run(chosen: argparse.Namespace) -> None:
    chosen.write(chosen)


def _write_pretraining(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.pretraining.config import PretrainStudy
    from napari_pathlupi.workflows.pretraining.file import written

    _write(chosen.out, written(PretrainStudy()))
    print(f"{chosen.out}: fill it in, then: pathlupi pretrain {chosen.out}")


def _write(path: Path, text: str) -> None:
    from napari_pathlupi.errors import OutputError
    from napari_pathlupi.export._whole_file import write_whole

    if path.exists():
        raise OutputError(f"{path} exists and is not overwritten: choose another name with -o.")
    write_whole(path, text)


def _write_study(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.training.study_file import study_of, written
    from napari_pathlupi.workflows.training.task_cards import listed, task_card

    if chosen.task == "list":
        print(listed())
        return
    card = task_card(chosen.task) if chosen.task else None
    text = written(study_of({"model": {"preset": chosen.preset}, "task": card.settings if card else {}}))
    _write(chosen.out, text)
    if card:
        print(card.words)
    print(f"{chosen.out}: fill it in, then: pathlupi train {chosen.out}")


COMMAND = Command("write a file of settings to fill in", _arguments, _run)
