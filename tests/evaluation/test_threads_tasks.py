"""The catalogue of the paper's tasks against its own counts."""

from collections import Counter

from napari_pathlupi.evaluation.threads_tasks import published, published_tasks

TASKS = published_tasks()


def test_the_families_have_as_many_tasks_as_the_paper_counts() -> None:
    counts = Counter(task.family for task in TASKS)
    assert counts == {
        "subtyping and grading": 8,
        "mutation": 21,
        "immunohistochemistry": 12,
        "treatment and survival": 13,
    }
    assert len(TASKS) == 54


def test_42_are_public_each_once_and_12_in_house() -> None:
    keys = [task.key for task in TASKS if task.public]
    assert len(keys) == len(set(keys)) == 42
    assert Counter(task.name.split()[0] for task in TASKS if not task.public) == {
        "MGB-Breast": 4,
        "MGB-Lung": 7,
        "GBM": 1,
    }
    assert len({task.name for task in TASKS}) == 54


def test_the_measure_follows_from_the_kind() -> None:
    for task in TASKS:
        assert task.kind in ("classification", "survival")
        assert (task.kind == "survival") == (task.metric == "c-index")
        assert (task.classes == 2) <= (task.metric == "auroc"), task.name
        assert (task.metric in ("balanced-accuracy", "quadratic-kappa")) <= (task.classes > 2), task.name
    assert sum(task.kind == "survival" for task in TASKS) == 7
    assert {task.source for task in TASKS if task.official_split} == {"ebrains", "panda", "imp"}


def test_a_task_is_found_by_the_name_that_patho_bench_has() -> None:
    found = published("nadt--response")
    assert found is not None and (found.samples, found.sample) == (36, "case_id")
    assert published("--") is None and published("") is None and published("x--y") is None
