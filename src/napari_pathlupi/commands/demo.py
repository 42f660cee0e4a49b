"""``pathlupi demo``."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from napari_pathlupi.commands._command import Command, must_be_writable, show


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, default=Path("demo"), help="folder for slide and results")
    parser.add_argument("--no-window", action="store_true", help="do not open napari")


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.commands import predict
    from napari_pathlupi.workflows.demo import demo_slide_steps

    must_be_writable(chosen.out)
    path = show(demo_slide_steps(chosen.out), "Demo slide")
    parser = argparse.ArgumentParser()
    predict.COMMAND.add_arguments(parser)
    predict.COMMAND.run(parser.parse_args([str(path), "-o", str(chosen.out)]))
    if not chosen.no_window and _has_display():
        command = [sys.executable, "-m", "napari_pathlupi.widgets.demo_window", str(path)]
        subprocess.run(command, check=False)


def _has_display() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


COMMAND = Command("make the demo slide, predict, write the results, open napari on them", _arguments, _run)
