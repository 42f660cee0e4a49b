"""Values, risks and labels in the words that people read."""

from napari_pathlupi.core.answers import percent
from napari_pathlupi.core.outlook import Risk, Values


def test_no_probability_is_shown_as_never_or_always():
    assert [percent(share) for share in (0.0, 0.0004, 0.001, 0.413, 0.9994, 0.9997, 1.0)] == [
        "< 0.1 %",
        "< 0.1 %",
        "0.1 %",
        "41.3 %",
        "99.9 %",
        "> 99.9 %",
        "> 99.9 %",
    ]


def test_the_spread_of_the_folds_names_each_value():
    answer = Values(
        ("Ki67", "purity"), (30.0, 60.0), "%", ((0.0, 90.0), (20.0, 90.0)), folds=((25.0, 61.0), (36.0, 61.0))
    )
    assert answer.remark == "The 2 folds give Ki67 25 to 36, purity 61 %."


def test_the_bar_of_a_risk_is_its_place_among_the_cases_and_says_so():
    (row,) = Risk("overall survival", -0.53, below=0.21, cases=40).rows()
    assert (row.label, row.text, row.share) == ("Above 21 % of 40 cases", "log hazard -0.53", 0.21)
    (alone,) = Risk("overall survival", 0.0).rows()
    assert alone.share == 0.5
