"""Many encoders on many tasks: one line per pair that is done, and one table over all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import OutputError, PathlupiError, SettingsError
from napari_pathlupi.evaluation.survival_probe import EXCEPTIONS
from napari_pathlupi.evaluation.threads_tasks import published
from napari_pathlupi.workflows.downstream.bench_workers import finished
from napari_pathlupi.workflows.downstream.config import BenchConfig, ProbeSettings
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.downstream.files import as_json, finite
from napari_pathlupi.workflows.downstream.probing import probe
from napari_pathlupi.workflows.downstream.task import DownstreamTask

LINES = "results.jsonl"


@dataclass(frozen=True, slots=True)
class BenchEncoder:
    """Embeddings of one encoder.

    Parameters
    ----------
    name
        For the table.
    place
        Where they lie, as of `read_embeddings`; {source} and {task} in it stand for those of each task.
    """

    name: str
    place: str

    def place_for(self, task: DownstreamTask) -> str:
        """Return where the embeddings for a task lie."""
        source, _, name = task.name.partition("--")
        return self.place.replace("{source}", source).replace("{task}", name)


@dataclass(frozen=True, slots=True)
class Pair:
    """One encoder on one task.

    Parameters
    ----------
    task, encoder
        Which.
    settings
        Of the probes.
    """

    task: DownstreamTask
    encoder: BenchEncoder
    settings: ProbeSettings

    @property
    def names(self) -> tuple[str, str]:
        """Return those of task and encoder."""
        return self.task.name, self.encoder.name

    @property
    def digest(self) -> str:
        """Return what changes when the pair would be run otherwise: paths, columns, settings and files' times."""
        told = asdict(self) | {"changed": [_changed(self.task.table), _changed(self.encoder.place_for(self.task))]}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class BenchResult:
    """What is known of each pair.

    Parameters
    ----------
    tasks, encoders
        Their names, in the order asked for.
    lines
        By (task, encoder): the line of the file of results.
    """

    tasks: tuple[str, ...]
    encoders: tuple[str, ...]
    lines: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


def bench_steps(
    tasks: Sequence[DownstreamTask],
    encoders: Sequence[BenchEncoder],
    out: Path,
    config: BenchConfig | None = None,
    cancel: CancelFlag | None = None,
) -> Steps[BenchResult]:
    """Yield progress and return what every encoder scored on every task.

    Each pair that is done adds a line to ``results.jsonl`` at once; pairs whose line is there, with the same settings
    and unchanged files, are not run again. What cannot be done has a line with the reason, and is tried again.

    Parameters
    ----------
    tasks, encoders, config
        What is run, and how.
    out
        Folder of the results.
    cancel
        Asks to stop; pairs that are done stay done.

    Raises
    ------
    SettingsError
        When there is nothing to run, a name is there twice, or no scheduler answers.
    OutputError
        When nothing can be written.
    """
    config = config or BenchConfig()
    pairs = _pairs(tasks, encoders, config)
    known = _read(out / LINES)
    lines = {pair.names: known[pair.digest] for pair in pairs if pair.digest in known}
    waiting = [pair for pair in pairs if pair.names not in lines]
    yield Progress("Tasks", len(lines), len(pairs), message=f"{len(lines)} of {len(pairs)} were done before.")
    for line in finished(run_pair, _blank, waiting, config.scheduler, config.workers, cancel):
        if line is not None:
            _append(out / LINES, line)
            lines[line["task"], line["encoder"]] = line
        yield Progress("Tasks", len(lines), len(pairs), message=_words(line))
    return BenchResult(tuple(task.name for task in tasks), tuple(encoder.name for encoder in encoders), lines)


def _pairs(tasks: Sequence[DownstreamTask], encoders: Sequence[BenchEncoder], config: BenchConfig) -> list[Pair]:
    _must_differ([task.name for task in tasks], "task")
    _must_differ([encoder.name for encoder in encoders], "encoder")
    settings = ProbeSettings(**{name: getattr(config, name) for name in ProbeSettings.__dataclass_fields__})
    return [Pair(*_anywhere(task, encoder), settings) for task in tasks for encoder in encoders]


def run_pair(pair: Pair) -> dict[str, Any]:
    """Return the line of one encoder on one task; an error is a reason in it."""
    task, encoder = pair.task, pair.encoder
    line = _blank(pair)
    try:
        cases, folds = task.cases(read_embeddings(encoder.place_for(task)))
        report = probe(cases, folds, _as_published(pair))
        counted = task.counted(report)
    except PathlupiError as error:
        return line | {"error": str(error)}
    measured = next((row for row in report.scores if row.metric == counted and not row.setting), None)
    if measured is None or finite(measured.figure.value) is None:
        return line | {"error": f"{' or '.join(task.measure)} cannot be said of this task."}
    figure, whole = measured.figure, as_json(report)
    whole["notes"] = [*_against_what_is_stated(task, len(cases)), *whole["notes"]]
    ends = {"low": finite(figure.low), "high": finite(figure.high)}
    told = {"metric": counted, "value": figure.value, **ends, "cases": measured.cases}
    return line | told | {"words": f"{counted} {figure}", "report": whole}


def _as_published(pair: Pair) -> ProbeSettings:
    """The settings, with the paper's exceptions where no strength is stated."""
    other = EXCEPTIONS.get((pair.encoder.name.lower(), pair.task.name), 0.0)
    return replace(pair.settings, alpha=other) if other and not pair.settings.alpha else pair.settings


def _words(line: Mapping[str, Any] | None) -> str:
    return f"{line['task']}, {line['encoder']}: {line['error'] or line['words']}" if line else ""


def _blank(pair: Pair, error: str = "") -> dict[str, Any]:
    return {"task": pair.task.name, "encoder": pair.encoder.name, "digest": pair.digest, "error": error}


def _against_what_is_stated(task: DownstreamTask, cases: int) -> list[str]:
    known = published(task.name)
    counted = task.samples or (known.samples if known else 0)
    if not counted or counted == cases:
        return []
    return [f"{cases} cases have label and embedding; {counted} are stated for this task."]


def _anywhere(task: DownstreamTask, encoder: BenchEncoder) -> tuple[DownstreamTask, BenchEncoder]:
    """The same with whole paths: workers may have been started in another folder."""
    whole = replace(task, table=_whole(task.table), splits=_whole(task.splits))
    return whole, replace(encoder, place=_whole(encoder.place))


def _whole(place: str) -> str:
    return place if not place or "://" in place else str(Path(place).absolute())


def _must_differ(names: Sequence[str], what: str) -> None:
    if not names:
        raise SettingsError(f"no {what} is named: give one at least.")
    if len(set(names)) < len(names):
        twice = next(name for row, name in enumerate(names) if name in names[:row])
        raise SettingsError(f"the {what} {twice} is there twice: give each a name of its own.")


def _changed(place: str) -> tuple[int, int]:
    """When a file, or what lies in a folder, was last written, and how much there is."""
    path = Path(place)
    files = list(path.iterdir()) if path.is_dir() else [path]
    times = [file.stat().st_mtime_ns for file in files if file.exists()]
    return max(times, default=0), len(times)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of what is done, by digest; a line that a kill cut short is not done."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and not line.get("error", "unknown"):
            found[line["digest"]] = line
    return found


def _append(path: Path, line: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cut_short = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut_short else "") + json.dumps(line) + "\n")
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}): choose another folder.") from error
