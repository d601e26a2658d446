"""The forest plot shows the numbers of `compare.results`, and says so where something is too far out to be drawn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from made_runs import make_run

from al_runner.analysis.draw.forest import BETTER, UNCLEAR, WORSE, forest, forests
from al_runner.analysis.draw.look import Look
from al_runner.analysis.stats.case import cases
from al_runner.analysis.stats.results import results
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.runs import load
from al_runner.errors import UsageError

FINALS = {
    "random": [0.50, 0.44, 0.48],
    "kfac_vfe": [0.30, 0.25, 0.27],
    "egl": [0.55, 0.40, 0.47],
    "dfal": [0.6, 0.55, 0.6],
}


def of(root, finals):
    for strategy, values in finals.items():
        for seed, final in enumerate(values):
            make_run(root, strategy, seed, [0.8, final])
    return cases(load(root))


def test_points_bars_and_colours_are_those_of_the_table(tmp_path):
    found = of(tmp_path, FINALS)
    table = results(found).set_index("curve")
    left, right = forest(results(found), "random").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["KFAC-VFE", "EGL", "DFAL"]
    for axes, measure in ((left, "final"), (right, "area")):
        for (point, _, (bar,)), name in zip(axes.containers, ("kfac_vfe", "egl", "dfal"), strict=True):
            mean, half = (100 * table.loc[name, f"{measure}_minus_baseline{end}"] for end in ("", "_half"))
            assert point.get_xdata()[0] == pytest.approx(mean)
            assert bar.get_segments()[0][:, 0] == pytest.approx([mean - half, mean + half])
            p = table.loc[name, f"{measure}_minus_baseline_p"]
            assert (p < 0.05) == (name != "egl")
            assert point.get_color() == {"kfac_vfe": BETTER, "egl": UNCLEAR, "dfal": WORSE}[name]
            assert point.get_markerfacecolor() == ("white" if name == "egl" else point.get_color())
    assert "p < 0.05 after Holm's correction for 3 comparisons" in forest(results(found), "random").get_supxlabel()


def test_what_is_far_out_is_an_arrow_with_its_number(tmp_path):
    close = {"random": FINALS["random"], "egl": [0.51, 0.44, 0.47], "dfal": [0.49, 0.45, 0.48]}
    found = of(tmp_path, {**close, "curriculum": [0.95, 0.89, 0.93]})
    left, _ = forest(results(found), "random").axes
    assert [text.get_text() for text in left.texts] == ["+45.0 ± 0.0"]
    assert left.get_xlim()[1] < 5
    assert len(left.containers) == 2


def test_a_single_pair_has_no_bar_and_no_colour(tmp_path):
    found = of(tmp_path, {"random": [0.5], "egl": [0.4]})
    ((point, _, bars),) = forest(results(found), "random").axes[0].containers
    assert (point.get_xdata()[0], bars, point.get_color()) == (pytest.approx(-10), (), UNCLEAR)
    assert np.isfinite(forest(results(found), "random").axes[0].get_xlim()).all()


def test_nothing_paired_is_refused_or_left_out(tmp_path):
    found = of(tmp_path, {"egl": [0.5, 0.4], "dfal": [0.4, 0.4]})
    with pytest.raises(UsageError, match="--baseline"):
        forest(results(found), "random")
    assert [*forests(found)] == []


def test_every_case_has_a_file_of_its_own(tmp_path):
    of(tmp_path, {name: FINALS[name] for name in ("random", "egl")})
    for strategy in ("random", "egl"):
        make_run(tmp_path, strategy, 0, [0.8, 0.3], dataset="mnist")
    names = [name for name, _ in forests(cases(load(tmp_path)))]
    assert names == [f"compare_forest-{dataset}-usps_cnn-plain-adam8-usps" for dataset in ("mnist", "usps")]


def test_an_interval_without_0_is_not_yet_significant(tmp_path):
    """One of five comparisons at p = .03 is beyond chance alone and not after Holm's correction."""
    close = {f"s{i}": [0.5, 0.44 + i / 100, 0.48 - i / 100] for i in range(4)}
    found = of(tmp_path, {"random": FINALS["random"], "egl": [0.45, 0.40, 0.415], **close})
    row = results(found).set_index("curve").loc["egl"]
    assert row["final_minus_baseline"] + row["final_minus_baseline_half"] < 0
    assert row["final_minus_baseline_p"] > 0.05
    (point, _, _) = forest(results(found), "random").axes[0].containers[0]
    assert (point.get_color(), point.get_markerfacecolor()) == (UNCLEAR, "white")


def test_labels_order_and_width_are_the_users(tmp_path):
    found = of(tmp_path, FINALS)
    look = Look(names=Names({"dfal": "Ours"}), order=("dfal",), width=3.25)
    figure = forest(results(found), "random", look)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Ours", "KFAC-VFE", "EGL"]
    assert figure.get_figwidth() == 3.25
    with_baseline = forest(results(found), "random", replace(look, order=("random", "egl")))  # as al-plot takes it
    assert with_baseline.axes[0].get_yticklabels()[0].get_text() == "EGL"
    with pytest.raises(UsageError, match="there is no curve badge"):
        forest(results(found), "random", replace(look, order=("badge",)))
    left, right = (axes.get_position() for axes in figure.axes)
    assert left.y0 > right.y1  # one above the other


def test_pairs_are_counted_where_curves_differ_in_them(tmp_path):
    found = of(tmp_path, {"random": [0.5, 0.4, 0.3], "egl": [0.4, 0.3, 0.2], "dfal": [0.45, 0.36]})
    names = [label.get_text() for label in forest(results(found), "random").axes[0].get_yticklabels()]
    assert names == ["EGL (3)", "DFAL (2)"]


def test_a_long_name_is_broken_and_leaves_the_panels_room(tmp_path):
    for seed, final in enumerate((0.3, 0.25, 0.27)):
        make_run(tmp_path, "random", seed, [0.8, 0.5])
        make_run(tmp_path, "badge", seed, [0.8, final], name="vae_acgan_small-tran2019_small_turned_again")
    ((_, figure),) = forests(cases(load(tmp_path)))
    left, right = figure.axes
    (label,) = left.get_yticklabels()
    assert label.get_text() == "BADGE (vae acgan small,\ntran2019 small turned again)"
    figure.draw_without_rendering()
    title = right.title.get_window_extent()
    assert title.x1 <= figure.bbox.width


def test_no_difference_at_all_has_readable_ticks_and_one_seed_is_no_seeds(tmp_path):
    ((_, figure),) = forests(of(tmp_path, {"random": [0.5], "egl": [0.5]}))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(first.x1 < second.x0 for first, second in pairwise(boxes))
    caption = figure.get_supxlabel()
    assert "(1 seed)" in caption
    assert "for 1 comparison;" in caption
