"""``pathlupi info``."""

import argparse

from napari_pathlupi.commands._command import Command, add_slide_options


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slide")
    add_slide_options(parser, "µm per pixel to tell with; not remembered")
    parser.add_argument("--forget-mpp", action="store_true", help="forget what was stated for this content earlier")


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.slides import open_slide
    from napari_pathlupi.workflows.describe import lines_about
    from napari_pathlupi.workflows.embedding.scale import forget_mpp, recall_mpp

    with open_slide(chosen.slide, chosen.mpp, chosen.plane, chosen.scene, chosen.colour) as slide:
        note = forget_mpp(slide) if chosen.forget_mpp else recall_mpp(slide) if chosen.mpp is None else ""
        for line in (*lines_about(slide), *[note] * bool(note)):
            print(line)


COMMAND = Command("say what a slide is: size, scale and its source, levels", _arguments, _run)
