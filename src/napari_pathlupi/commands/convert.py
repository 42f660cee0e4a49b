"""``pathlupi convert``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_slide_options, interruptible, opened, show


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slide")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT.tif", help="the file to write, new")
    parser.add_argument("--lossless", action="store_true", help="every pixel as it was, several times as large")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEG, 1 to 100 (default 90)")
    add_slide_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.convert import LEFT_OUT, convert_steps
    from napari_pathlupi.workflows.describe import missing_words

    slide, note = opened(chosen.slide, chosen)
    with slide, interruptible() as cancel:
        steps = convert_steps(slide, chosen.out, chosen.lossless, chosen.quality, cancel)
        path = show(steps, slide.path.name)
        mpp, missing = slide.frame.mpp, slide.missing_tiles
    scale = f"{mpp.y:.6g} × {mpp.x:.6g} µm/px" if mpp else "µm per pixel unknown, as before"
    print(f"{path}: {scale}, {path.stat().st_size / 1e6:,.1f} MB. {LEFT_OUT}")
    for words in (missing_words(missing), note):
        if words:
            print(f"  {words}")


COMMAND = Command("write any slide as a tiled pyramid that opens quickly everywhere", _arguments, _run)
