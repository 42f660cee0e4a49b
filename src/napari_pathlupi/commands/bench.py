"""``pathlupi bench``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_settings, interruptible, must_be_writable, settings, show
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.workflows.downstream.config import BenchConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    encoder = "its name in the table, and where its embeddings lie; {source} and {task} stand for a task's"
    parser.add_argument("--encoder", action="append", default=[], metavar="NAME=PLACE", help=encoder)
    tasks = "folder of Patho-Bench's splits, or TOML file that names tasks"
    parser.add_argument("--tasks", default="", metavar="FILE", help=tasks)
    out = "folder for results.jsonl, table.csv and standings.json; what is done there is not done again"
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help=out)
    parser.add_argument("--list", action="store_true", help="list the 54 tasks on which Threads was tested, and stop")
    add_settings(parser, BenchConfig)


def _run(chosen: argparse.Namespace) -> None:
    if chosen.list:
        _list()
        return
    if not (chosen.encoder and chosen.tasks and chosen.out):
        raise SettingsError("say what is compared: --encoder NAME=PLACE (several), --tasks FILE and -o OUT.")
    from napari_pathlupi.workflows.downstream.bench import BenchEncoder, bench_steps
    from napari_pathlupi.workflows.downstream.bench_table import save_table, table_lines
    from napari_pathlupi.workflows.downstream.bench_tasks import read_tasks

    named = [text.partition("=") for text in chosen.encoder]
    if any(not name or not place for name, _, place in named):
        raise SettingsError("--encoder takes NAME=PLACE, such as --encoder titan=pooled/titan.")
    encoders = [BenchEncoder(name, place) for name, _, place in named]
    tasks, config = read_tasks(chosen.tasks), settings(BenchConfig, chosen)
    must_be_writable(chosen.out)
    with interruptible() as cancel:
        result = show(bench_steps(tasks, encoders, chosen.out, config, cancel), "Bench")
    print("\n".join(table_lines(result)))
    for file in save_table(result, chosen.out):
        print(file)
    print(RESEARCH_USE_ONLY)


def _list() -> None:
    from napari_pathlupi.evaluation.threads_tasks import published_tasks

    widths = "{:<22}  {:<38}  {:<36}  {:<17}  {}"
    print(widths.format("family", "task", "Patho-Bench's name", "measure", "how many"))
    for task in published_tasks():
        known = f"{task.samples:,} {task.sample.removesuffix('_id') or 'sample'}s" if task.samples else ""
        print(widths.format(task.family, task.name, task.key or "in-house", task.metric, known).rstrip())


COMMAND = Command("compare encoders over many tasks, Patho-Bench's or your own, in one table", _arguments, _run)
