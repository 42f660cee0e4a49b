"""Many encoders on many tasks: nothing is run twice, nothing is lost, and the table adds up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from downstream_data import CLASSES, NAMES, VECTORS, write_labels, write_pooled, write_task
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import PathlupiError, SettingsError, TableError
from napari_pathlupi.workflows.downstream import bench
from napari_pathlupi.workflows.downstream.bench import BenchEncoder, BenchResult, bench_steps
from napari_pathlupi.workflows.downstream.bench_table import save_table, standings, table_lines
from napari_pathlupi.workflows.downstream.bench_tasks import read_tasks
from napari_pathlupi.workflows.downstream.bench_workers import finished
from napari_pathlupi.workflows.downstream.config import BenchConfig
from napari_pathlupi.workflows.downstream.task import DownstreamTask

QUICK = BenchConfig(resamples=100)


@pytest.fixture
def tasks(tmp_path: Path) -> list[DownstreamTask]:
    write_task(tmp_path / "splits", "bcnb", "er")
    write_task(tmp_path / "splits", "cptac_luad", "OS", survival=True)
    return read_tasks(tmp_path / "splits")


@pytest.fixture
def encoders(tmp_path: Path) -> list[BenchEncoder]:
    noise = np.random.default_rng(0).normal(size=VECTORS.shape)
    write_pooled(tmp_path / "good/bcnb", NAMES[1:], VECTORS[1:])
    write_pooled(tmp_path / "good/cptac_luad")
    write_pooled(tmp_path / "noise", NAMES, noise)
    return [BenchEncoder("good", str(tmp_path / "good/{source}")), BenchEncoder("noise", str(tmp_path / "noise"))]


def _lines(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / bench.LINES).read_text().splitlines()]


def test_every_pair_has_a_line_and_the_better_encoder_wins(tasks, encoders, tmp_path: Path) -> None:
    result = run(bench_steps(tasks, encoders, tmp_path / "out", QUICK))
    lines = _lines(tmp_path / "out")
    assert [(line["task"], line["encoder"]) for line in lines] == [
        ("bcnb--er", "good"), ("bcnb--er", "noise"), ("cptac_luad--OS", "good"), ("cptac_luad--OS", "noise"),
    ]  # fmt: skip
    assert all(line["low"] <= line["value"] <= line["high"] for line in lines)
    assert any("59 cases have label and embedding; 60 are stated" in note for note in lines[0]["report"]["notes"])
    good, noise = standings(result)
    assert (good.wins, noise.wins, good.tasks) == (2, 0, 2)
    assert good.mean.value == pytest.approx((lines[0]["value"] + lines[2]["value"]) / 2)
    printed = "\n".join(table_lines(result))
    assert "mean of 2 tasks" in printed and "2 of 2" in printed
    table, standing = save_table(result, tmp_path / "out")
    assert len(table.read_text().splitlines()) == 5
    assert json.loads(standing.read_text())[0]["encoder"] == "good"


def test_what_is_done_is_not_run_again_unless_files_or_settings_changed(tasks, encoders, tmp_path, monkeypatch) -> None:
    ran: list[str] = []
    real = bench.run_pair
    monkeypatch.setattr(bench, "run_pair", lambda pair: ran.append(pair.task.name) or real(pair))
    out, cancel = tmp_path / "out", CancelFlag()
    for progress in bench_steps(tasks, encoders, out, QUICK, cancel):
        if progress.done == 1:
            cancel.set()
    assert ran == ["bcnb--er"]
    with (out / bench.LINES).open("a") as file:
        file.write('{"task": "cut sho')  # as a kill leaves it
    result = run(bench_steps(tasks, encoders, out, QUICK))
    assert len(ran) == 4 and len(result.lines) == 4
    run(bench_steps(tasks, encoders, out, QUICK))
    assert len(ran) == 4
    write_pooled(tmp_path / "noise", ["new"], VECTORS[:1])
    run(bench_steps(tasks, encoders, out, QUICK))
    assert len(ran) == 6
    run(bench_steps(tasks, encoders, out, replace(QUICK, cost=1.0)))
    assert len(ran) == 10


def test_what_cannot_be_done_has_its_reason_and_is_tried_again(tasks, encoders, tmp_path: Path) -> None:
    absent = BenchEncoder("absent", str(tmp_path / "nowhere"))
    result = run(bench_steps(tasks, [*encoders, absent], tmp_path / "out", QUICK))
    assert "left out" in table_lines(result)[1]
    assert any("there are no embeddings at" in line for line in table_lines(result))
    assert standings(result) == ()
    write_pooled(tmp_path / "nowhere")
    again = run(bench_steps(tasks, [*encoders, absent], tmp_path / "out", QUICK))
    assert [row.tasks for row in standings(again)] == [2, 2, 2]


@pytest.mark.parametrize("scheduler", ["threads"])
def test_workers_find_what_one_after_another_finds(scheduler, tasks, encoders, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'distributed'")
    here = run(bench_steps(tasks, encoders, tmp_path / "here", QUICK))
    there = run(bench_steps(tasks, encoders, tmp_path / "there", replace(QUICK, scheduler=scheduler)))
    assert {key: line["value"] for key, line in there.lines.items()} == {
        key: line["value"] for key, line in here.lines.items()
    }


def test_means_and_wins_are_over_the_tasks_that_all_did_and_ties_count_for_each() -> None:
    values = {("a", "x"): 0.9, ("a", "y"): 0.7, ("b", "x"): 0.5, ("b", "y"): 0.5, ("c", "x"): 0.1}
    lines = {key: {"value": value, "low": 0.0, "high": 1.0} for key, value in values.items()}
    x, y = standings(BenchResult(("a", "b", "c"), ("x", "y"), lines))
    assert (x.mean.value, y.mean.value) == pytest.approx((0.7, 0.6))
    assert (x.wins, y.wins, x.tasks) == (2, 1, 2)
    assert (x.mean.low, x.mean.high) == pytest.approx((0.5, 0.9))


def test_a_file_of_tasks_names_those_of_patho_bench_and_own_ones(tmp_path: Path) -> None:
    write_task(tmp_path / "splits", "ebrains", "diagnosis")
    write_labels(tmp_path / "labels.csv")
    file = tmp_path / "tasks.toml"
    file.write_text(
        'splits_root = "splits"\ntasks = ["ebrains--diagnosis"]\n'
        '[[task]]\nname = "own--kind"\ntable = "labels.csv"\ncolumn = "kind"\nmetric = "bacc"\n'
        '[[task]]\nname = "own--OS"\ntable = "labels.csv"\ntime = "OS_days"\nevent = "OS_event"\n'
    )
    official, kind, survival = read_tasks(file)
    assert official.measure == ("Balanced accuracy",)  # the paper's, not the configuration's
    assert kind.measure == ("Balanced accuracy",) and survival.measure == ("C-index",)
    pooled = BenchEncoder("e", str(write_pooled(tmp_path / "pooled")))
    result = run(bench_steps([kind, survival], [pooled], tmp_path / "out", QUICK))
    assert result.lines["own--kind", "e"]["cases"] == len(CLASSES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tasks = [", "cannot read the tasks"),
        ("", "names no task"),
        ("task_list = []", "task_list is not known"),
        ('[[task]]\nname = "x"\ntable = "t.csv"', "something is missing"),
        ('[[task]]\nname = "x"\ntable = "t.csv"\ncolumn = "a"\nweight = 3', "weight is not known"),
        ('tasks = ["nadt--response"]', "it must stand beside"),
    ],
)
def test_a_file_of_tasks_that_cannot_be_meant_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.toml").write_text(text)
    with pytest.raises(TableError, match=words):
        read_tasks(tmp_path / "tasks.toml")


def test_names_that_are_there_twice_and_nothing_to_run_are_refused(tasks, encoders, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the encoder good is there twice"):
        run(bench_steps(tasks, [encoders[0], encoders[0]], tmp_path, QUICK))
    with pytest.raises(SettingsError, match="no task is named"):
        run(bench_steps([], encoders, tmp_path, QUICK))
    with pytest.raises(PathlupiError, match="0 workers"):
        run(bench_steps(tasks, encoders, tmp_path, replace(QUICK, scheduler="threads", workers=0)))


def test_a_pair_whose_workers_died_has_that_as_its_reason(tasks, encoders, tmp_path: Path) -> None:
    pair = bench.Pair(tasks[0], encoders[0], QUICK)
    said = list(finished(_dies, lambda thing, words: f"{thing}: {words}", [3], "threads"))
    assert [words for words in said if words] == ["3: out of luck"]
    assert bench.run_pair(pair)["error"] == ""


def _dies(_: int) -> str:
    raise ValueError("out of luck")


def test_the_papers_exceptions_count_where_no_strength_is_stated(tmp_path: Path) -> None:
    write_task(tmp_path / "splits", "cptac_ccrcc", "OS", survival=True)
    tasks, place = read_tasks(tmp_path / "splits"), str(write_pooled(tmp_path / "pooled"))
    both = [BenchEncoder("CHIEF", place), BenchEncoder("other", place)]
    lines = run(bench_steps(tasks, both, tmp_path / "out", QUICK)).lines
    assert [line["report"]["settings"]["alpha"] for line in lines.values()] == [0.01, 0.07]
    stated = run(bench_steps(tasks, both, tmp_path / "out", replace(QUICK, alpha=0.03))).lines
    assert {line["report"]["settings"]["alpha"] for line in stated.values()} == {0.03}
