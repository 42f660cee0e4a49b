"""``pathlupi probe|retrieve|prompt`` from files alone."""

import csv
import json
import shlex
from pathlib import Path

import pytest

from downstream_data import write_labels, write_pooled, write_task
from napari_pathlupi.cli import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [str(write_pooled(tmp_path / "pooled")), str(write_labels(tmp_path / "labels.csv"))]


QUICK = ["--resamples", "100"]


def test_probe_prints_a_table_with_intervals_and_writes_it_with_the_predictions(files, tmp_path, capsys) -> None:
    asked = [*QUICK, "--column", "kind", "--folds", "3", "--shots", "1", "64"]
    assert main(["probe", *files, *asked, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "60 of 60 embeddings belong to 60 of 60 labelled cases" in printed
    assert "AUROC (macro one-vs-rest)" in printed and "mean of 3 folds, 60 cases" in printed
    assert "with 64 shots" in printed
    told = json.loads((tmp_path / "out/linear-probe.json").read_text())
    assert all(row["low"] <= row["value"] <= row["high"] for row in told["measures"])
    assert told["settings"]["cost"] == 0.5 and told["left_out"]
    with (tmp_path / "out/linear-probe.predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and set(rows[0]) == {"case_id", "fold", "prob_basal", "prob_her2", "prob_luminal"}
    assert main(["probe", *files, *asked, "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/linear-probe.2.json").exists()


def test_what_probe_writes_is_what_evaluate_reads(files, tmp_path, capsys) -> None:
    assert main(["probe", *files, *QUICK, "--column", "kind", "-o", str(tmp_path / "out")]) == 0
    first = capsys.readouterr().out
    next_step = next(line for line in first.splitlines() if line.startswith("Next: pathlupi "))
    assert main([*shlex.split(next_step)[2:], *QUICK, "-o", str(tmp_path / "evaluated")]) == 0
    printed = first, capsys.readouterr().out
    probed, evaluated = (text[text.index("Balanced accuracy") :].split()[2] for text in printed)
    assert probed == evaluated


def test_probe_takes_a_survival_and_a_task_of_patho_bench(files, tmp_path, capsys) -> None:
    assert main(["probe", *files, *QUICK, "--time", "OS_days", "--event", "OS_event"]) == 0
    task = write_task(tmp_path / "splits", "cptac_luad", "OS", survival=True)
    assert main(["probe", files[0], str(task), *QUICK]) == 0
    assert capsys.readouterr().out.count("C-index") == 2


def test_retrieve_and_prompt_print_their_measures(files, tmp_path, capsys) -> None:
    assert main(["retrieve", *files, *QUICK, "--column", "kind", "--clusters"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("mAP@1 ", "mAP@5 ", "mAP@10", "Adjusted Rand index"))
    rest = [*QUICK, "--column", "kind", "--support", files[0], "--support-labels", files[1], "-o", str(tmp_path)]
    assert main(["prompt", *files, *rest]) == 0
    assert "Support set: 60 of 60" in capsys.readouterr().out
    assert (tmp_path / "molecular-prompting.csv").read_text().startswith("protocol,setting,metric,value,low,high")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "say what is to be told"),
        (["--column", "kind", "--time", "OS_days"], "say what is to be told"),
        (["--time", "OS_days"], "state what a 1 in the column of outcomes means"),
        (["--column", "grade"], "grade"),
        (["--column", "kind", "--folds", "1"], "too few"),
        (["--column", "kind", "--cost", "0"], "must be above 0"),
        (["--column", "kind", "--splits", "absent.csv"], "absent.csv"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(files, flags, words, capsys) -> None:
    assert main(["probe", *files, *flags]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_bench_prints_one_table_and_goes_on_where_it_stopped(files, tmp_path, capsys) -> None:
    write_task(tmp_path / "splits", "bcnb", "er")
    asked = ["--encoder", f"mine={files[0]}", "--encoder", f"again={files[0]}", "--tasks", str(tmp_path / "splits")]
    assert main(["bench", *asked, *QUICK, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "bcnb--er" in printed and "wins" in printed and "1 of 1" in printed
    assert main(["bench", *asked, *QUICK, "-o", str(tmp_path / "out")]) == 0
    assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == 2


def test_bench_lists_the_papers_tasks_and_asks_for_what_is_missing(capsys) -> None:
    assert main(["bench", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 54
    assert main(["bench", "--encoder", "x=y"]) == 2
    assert main(["bench", "--encoder", "x", "--tasks", "t", "-o", "o"]) == 2
    assert "NAME=PLACE" in capsys.readouterr().err
