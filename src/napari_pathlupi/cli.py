"""The command line: ``pathlupi COMMAND``; a command is a file of `napari_pathlupi.commands`.

Exit code 0 when done, 2 with one sentence when something cannot be done, 130 when interrupted before anything was kept.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from napari_pathlupi import __version__
from napari_pathlupi.catalogue import commands
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import Cancelled, PathlupiError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch threads sleep between batches instead of spinning
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds wrong comes as one sentence of ours
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.run is None:
        parser.print_help()
        return 2
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output, as `head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Cancelled as error:
        print(f"pathlupi: {error}", file=sys.stderr)
        return 130
    except PathlupiError as error:
        print(f"pathlupi: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pathlupi", description=f"Whole-slide image analysis. {RESEARCH_USE_ONLY}")
    parser.add_argument("--version", action="version", version=f"pathlupi {__version__}")
    parser.set_defaults(run=None)
    listed = parser.add_subparsers(metavar="COMMAND")
    for name, command in commands.items():
        words = f"{command.words[0].upper()}{command.words[1:]}."
        own = listed.add_parser(name, help=command.words, description=words)
        own.set_defaults(run=command.run)
        command.add_arguments(own)
    return parser


if __name__ == "__main__":
    sys.exit(main())
