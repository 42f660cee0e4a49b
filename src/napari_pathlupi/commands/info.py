"""``pathlupi info``."""

import argparse

from napari_pathlupi.commands._command import Command, add_slide_options, opened


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slide")
    add_slide_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.describe import lines_about

    slide, note = opened(chosen.slide, chosen)
    with slide:
        for line in (*lines_about(slide), *[note] * bool(note)):
            print(line)


COMMAND = Command("say what a slide is: size, scale and its source, levels", _arguments, _run)
