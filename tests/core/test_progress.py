"""How long work tells where it is."""

from napari_pathlupi.core.progress import Progress, Steps, as_part_of, at_most_every, run


def counting(to: int) -> Steps[str]:
    for done in range(1, to + 1):
        yield Progress("counting", done, to, partial=done if done == 7 else None, message="five" if done == 5 else "")
    return "counted"


def test_running_returns_the_result_and_shows_each_step() -> None:
    shown: list[int] = []
    assert run(counting(3), lambda progress: shown.append(progress.done)) == "counted"
    assert shown == [1, 2, 3]


def test_inner_work_tells_where_the_whole_is() -> None:
    shown: list[Progress] = []
    assert run(as_part_of(Progress("whole", 4, 9), counting(2)), shown.append) == "counted"
    assert [(p.stage, p.done, p.total) for p in shown] == [("whole", 4, 9)] * 2


def test_steps_that_come_too_soon_are_left_out_unless_they_bring_something() -> None:
    shown: list[int] = []
    assert run(at_most_every(60.0, counting(9)), lambda progress: shown.append(progress.done)) == "counted"
    assert shown == [1, 5, 7]
    shown.clear()
    run(at_most_every(0.0, counting(9)), lambda progress: shown.append(progress.done))
    assert shown == list(range(1, 10))


def test_the_share_done_of_nothing_is_nothing() -> None:
    assert Progress("waiting", 0, 0).fraction == 0.0
    assert Progress("half", 1, 2).fraction == 0.5
