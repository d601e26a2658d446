import pytest

from al_runner.budget import Budget
from al_runner.errors import UsageError


def test_the_paper_s_usps_run_has_157_rounds_and_ends_at_30_percent() -> None:
    sizes = Budget(initial=8, query=8, max_labelled=1255, candidates="30x").purchases(4185)
    assert (len(sizes), sizes[:2], sizes[-1], sum(sizes)) == (157, [8, 8], 7, 1255)


@pytest.mark.parametrize(
    ("budget", "labelled"),
    [
        (Budget(initial=10, query=5, max_labelled=20), [10, 15, 20]),
        (Budget(initial=10, query=7, max_labelled=20), [10, 17, 20]),
        (Budget(initial=10, query=5, max_fraction=0.25), [10, 15, 20, 25]),
        (Budget(initial=9, query=20, max_fraction=0.29), [9, 29]),  # .29 * 100 is 28.999999999999996
        (Budget(initial=10, query=5, max_fraction=0.139), [10, 13]),  # a part of a label is none
        (Budget(initial=10, query=5, max_rounds=2), [10, 15, 20]),
        (Budget(initial=10, query=5, max_rounds=0), [10]),
        (Budget(initial=10, query=5, max_rounds=9, max_labelled=90, max_fraction=0.17), [10, 15, 17]),
        (Budget(initial=60, query=30), [60, 90, 100]),
        (Budget(initial="all", query=30), [100]),
        (Budget(initial=100, query=100), [100]),
    ],
)
def test_whichever_limit_comes_first_ends_the_run(budget: Budget, labelled: list[int]) -> None:
    assert budget.labelled(100) == labelled


@pytest.mark.parametrize(("candidates", "count"), [(240, 240), ("240", 240), ("30x", 240), ("1x", 8), ("all", 2**62)])
def test_candidates_are_a_number_a_multiple_or_all(candidates: int | str, count: int) -> None:
    assert Budget(initial=8, query=8, candidates=candidates).candidate_count == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0}, "budget.initial is 0"),
        ({"initial": "some"}, "budget.initial is 'some'; it must be a whole number, 1 or more, or all"),
        ({"query": 0}, "budget.query is 0"),
        ({"query": -3}, "budget.query is -3"),
        ({"query": 2.5}, "budget.query is 2.5"),
        ({"max_labelled": 0}, "budget.max_labelled is 0"),
        ({"sets": 0}, "budget.sets is 0"),
        ({"known": 0}, "budget.known is 0"),
        ({"known": 2}, "set budget.initial_by=balanced"),
        ({"max_fraction": 30}, "budget.max_fraction is 30"),
        ({"max_fraction": 0.0}, "budget.max_fraction is 0"),
        ({"max_rounds": -1}, "budget.max_rounds is -1"),
        ({"max_rounds": 10**20}, "it must be 0 or more and at most 1,000,000,000, or null"),
        (
            {"max_fraction": float("nan")},
            "budget.max_fraction is nan; it must be a finite number above 0 and at most 1",
        ),
        ({"initial_by": 3}, "budget.initial_by is 3; it must be random, balanced, or the name of a strategy"),
        ({"candidates": 7}, "fewer than budget.query=8"),
        ({"candidates": "many"}, 'a multiple such as "30x"'),
        ({"candidates": "x"}, 'a multiple such as "30x"'),
        ({"candidates": -1}, 'a multiple such as "30x"'),
        ({"val_share": 0}, "budget.val_share is 0; it must be above 0 and below 1, or null"),
        ({"val_share": 1}, "budget.val_share is 1"),
        ({"val_share": "fifth"}, "budget.val_share is 'fifth'"),
    ],
)
def test_a_wrong_option_is_named(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Budget(**{"initial": 8, "query": 8, **options})


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(initial=101, query=1), "budget.initial is 101, but the training set has 100"),
        (Budget(initial=10, query=101), "budget.query is 101, but the training set has 100"),
        (Budget(initial=10, query=1, max_labelled=101), "budget.max_labelled is 101"),
        (Budget(initial=10, query=1, max_labelled=9), "budget.initial is 10, more than the 9 labels"),
        (Budget(initial=10, query=1, max_fraction=0.05), "more than the 5 labels"),
        (
            Budget(initial=1, query=1, val_share=0.5),
            r"a first purchase of 1 label can't be shared; begin with 2 labels or more \(raise budget\.initial",
        ),
    ],
)
def test_a_budget_larger_than_the_pool_is_refused(budget: Budget, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        budget.purchases(100)


def test_rounds_beyond_the_last_image_cost_nothing() -> None:
    assert Budget(initial=10, query=30, max_rounds=10**9).labelled(100) == [10, 40, 70, 100]


@pytest.mark.parametrize("share", [0.001, 0.1, 0.2, 0.29, 1 / 3, 0.5, 0.75, 0.999])
def test_the_share_set_aside_is_the_nearest_whole_number_that_leaves_one_image_on_both_sides(share: float) -> None:
    """And one more label adds one at most, so that no image must change its role."""
    budget = Budget(initial=2, query=1, val_share=share)
    counts = [budget.set_aside(labelled) for labelled in range(1200)]
    assert counts[:2] == [0, 0]
    for labelled, count in list(enumerate(counts))[2:]:
        possible = range(1, labelled)
        assert abs(count - share * labelled) == min(abs(one - share * labelled) for one in possible)
        assert count - counts[labelled - 1] in (0, 1)


def test_nothing_is_set_aside_without_a_share() -> None:
    assert [Budget(initial=2, query=1).set_aside(labelled) for labelled in (0, 1, 2, 1000)] == [0, 0, 0, 0]
