"""The critical-difference diagram."""

from itertools import pairwise

import pandas as pd
import pytest
from made_runs import make_run
from scikit_posthocs import posthoc_nemenyi_friedman
from two_strategies import two

from al_runner.analysis.draw.critical import cliques, critical_difference, critical_differences
from al_runner.analysis.stats.case import cases
from al_runner.analysis.stats.over_cases import ranks_over_seeds
from al_runner.analysis.table.runs import load


@pytest.mark.parametrize(
    ("ranks", "critical", "groups"),
    [
        ([1.0, 2.0, 3.0], 0.5, []),
        ([1.0, 2.0, 3.0], 1.0, []),  # not less than the critical difference
        ([1.0, 2.0, 3.0], 1.1, [(0, 1), (1, 2)]),
        ([1.0, 1.2, 1.4, 4.0], 1.0, [(0, 2)]),  # the smaller group inside is not drawn
        ([1.0, 2.0, 3.0], 5.0, [(0, 2)]),
        ([2.0, 2.0], 0.1, [(0, 1)]),
    ],
)
def test_a_bar_joins_every_largest_group(ranks, critical, groups):
    assert cliques(ranks, critical) == groups


def three(root, dataset="usps"):
    two(root, dataset=dataset)
    for seed, last in enumerate((0.4, 0.46, 0.41, 0.47)):
        make_run(root, "entropy", seed, [0.8, 0.5, last], dataset=dataset)
    return root


def test_one_case_is_ranked_over_its_seeds(tmp_path):
    (case,) = cases(load(three(tmp_path)))
    table = ranks_over_seeds(case).set_index("curve")
    assert table["rank"].to_dict() == {"kfac_vfe": 1.0, "entropy": 2.5, "random": 2.5}
    assert set(table["cases"]) == {4}
    errors = pd.DataFrame({name: case.values(name, "final") for name in table.index})
    told = posthoc_nemenyi_friedman(errors)  # p by pair
    critical = table["critical_difference"].iloc[0]
    for one in table.index:
        for other in table.index:
            apart = abs(table.loc[one, "rank"] - table.loc[other, "rank"]) >= critical
            assert apart == (told.loc[one, other] < 0.05)


def test_the_diagram_names_every_curve_with_its_rank(tmp_path):
    (named,) = critical_differences(cases(load(three(tmp_path))))
    name, figure = named
    assert name == "compare_critical_difference"
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[-3:] == ["KFAC-VFE 1.00", "Entropy 2.50", "2.50 Random"]
    assert "critical difference 1.66" in texts
    assert "over 4 seeds" in figure.get_supxlabel()
    assert len([line for line in axes.lines if line.get_linewidth() == 3]) == 1


def test_several_cases_have_one_diagram(tmp_path):
    three(tmp_path, "mnist")
    ((name, figure),) = critical_differences(cases(load(three(tmp_path))))
    assert name == "compare_critical_difference"
    assert "over 2 cases" in figure.get_supxlabel()


def test_two_curves_have_no_diagram(tmp_path):
    assert [*critical_differences(cases(load(two(tmp_path))))] == []
    table = pd.DataFrame(
        {"curve": ["a", "b"], "rank": [1.0, 2.0], "cases": 4, "critical_difference": 9.0, "friedman_p": 1.0}
    )
    assert critical_difference(table, "seeds").axes


def test_long_names_are_broken_and_stay_inside_the_figure(tmp_path):
    variants = [f"vae_acgan_small-tran2019_small_turned_{number}" for number in range(4)]
    for place, name in enumerate(variants):
        for seed, last in enumerate((0.4, 0.46, 0.41)):
            make_run(tmp_path, "badge", seed, [0.8, last + place / 100], name=name)
    ((_, figure),) = critical_differences(cases(load(tmp_path)))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    shown = [text for text in axes.texts if "turned" in text.get_text()]
    assert len(shown) == 4
    assert all("\n" in text.get_text() for text in shown)
    width = figure.get_figwidth() * figure.dpi
    boxes = [text.get_window_extent() for text in shown]
    assert all(box.x0 >= 0 and box.x1 <= width for box in boxes)
    apart = [[box for box in boxes if box.x0 < width / 2], [box for box in boxes if box.x0 >= width / 2]]
    for side in apart:
        heights = sorted((box.y0, box.y1) for box in side)
        assert all(above[0] >= below[1] for below, above in pairwise(heights))
