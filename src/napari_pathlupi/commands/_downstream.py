"""What the commands that test embeddings share: which labels, which split, and where the report goes."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.commands._command import must_be_writable
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import SettingsError

if TYPE_CHECKING:
    from napari_pathlupi.workflows.downstream.cases import DownstreamCases
    from napari_pathlupi.workflows.downstream.downstream import Report
    from napari_pathlupi.workflows.downstream.task import DownstreamTask


def add_embedding_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which embeddings are tested against which labels."""
    places = "folder of h5 files, feature store, h5ad, CSV or Parquet: one vector per slide or patient"
    parser.add_argument("embeddings", metavar="EMBEDDINGS", help=places)
    labels = "table with the labels, or the folder of a task of Patho-Bench, which says all the rest"
    parser.add_argument("labels", metavar="LABELS", help=labels)
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="folder for the report as JSON and CSV")
    encoder = "patch encoder whose features count, of a store that holds those of several"
    parser.add_argument("--encoder", default="", metavar="NAME", help=encoder)
    add_task_options(parser)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which columns of a table of labels count."""
    group = parser.add_argument_group("what is to be told")
    group.add_argument("--column", default="", metavar="COLUMN", help="column of the classes")
    group.add_argument("--classes", nargs="*", default=(), help="the classes that count, in their order (all)")
    group.add_argument("--time", default="", metavar="COLUMN", help="column of the times of a survival")
    group.add_argument("--event", default="", metavar="COLUMN", help="its column in which 1 is the event")
    group.add_argument("--censorship", default="", metavar="COLUMN", help="its column in which 1 is censored")
    group.add_argument("--unit", default="", help="days, months or years, where the column of times does not say")
    group.add_argument("--case", default="", metavar="COLUMN", help="column of the patients, if it has an unusual name")
    alone = "column of the slides, if each is to stand for itself instead of its patient"
    group.add_argument("--slide-samples", default="", metavar="COLUMN", help=alone)
    group.add_argument("--splits", default="", metavar="FILE", help="official split, as a file or a folder of files")


def task_of(chosen: argparse.Namespace, labels: str) -> "DownstreamTask":
    """Return what is asked, from the flags or from the folder of a task of Patho-Bench.

    Raises
    ------
    SettingsError
        When neither a column of classes nor a survival is named.
    """
    from napari_pathlupi.core.cohort import Endpoint
    from napari_pathlupi.workflows.downstream.patho_bench import is_task, read_task
    from napari_pathlupi.workflows.downstream.task import DownstreamTask

    if is_task(labels):
        return read_task(labels)
    if bool(chosen.column) == bool(chosen.time):
        raise SettingsError("say what is to be told: --column CLASSES, or --time COLUMN with --event or --censorship.")
    if chosen.column:
        endpoint = Endpoint.classification(chosen.column, chosen.classes)
    else:
        endpoint = Endpoint.survival(chosen.time, event=chosen.event, censorship=chosen.censorship, unit=chosen.unit)
    return DownstreamTask(
        Path(labels).stem, labels, endpoint, chosen.case, chosen.slide_samples, chosen.splits
    )  # fmt: skip


def tell(chosen: argparse.Namespace, cases: "DownstreamCases", *reports: "Report") -> None:
    """Print reports, write them where that is asked for, and say what a table of predictions is for."""
    from napari_pathlupi.workflows.downstream.files import PREDICTIONS, report_lines, save_report

    print("\n".join(report_lines(*reports)))
    if chosen.out is not None:
        must_be_writable(chosen.out)
        files = [file for report in reports for file in save_report(report, cases, chosen.out)]
        print("\n".join(map(str, files)))
        if files[-1].name.endswith(PREDICTIONS) and (columns := _columns(chosen)):
            print("Next:", shlex.join(["pathlupi", "evaluate", str(files[-1]), chosen.labels, *columns]))
    print(RESEARCH_USE_ONLY)


def _columns(chosen: argparse.Namespace) -> list[str]:
    """The same columns for ``pathlupi evaluate``; none where it cannot read the labels: a task's folder, or slides."""
    names = () if chosen.slide_samples else ("column", "time", "event", "censorship", "unit")
    return [part for name in names if getattr(chosen, name) for part in (f"--{name}", getattr(chosen, name))]
