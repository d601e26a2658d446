import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support.made_runs import make_run

from al_runner.analysis import draw_run
from al_runner.analysis.draw.figures import Look, differences, facets, learning_curves, times
from al_runner.analysis.draw.save import save
from al_runner.analysis.draw.style import pens
from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.table.published import published
from al_runner.analysis.table.runs import load
from al_runner.errors import UsageError

FALL = np.geomspace(0.8, 0.02, 20)


def runs(root, strategies=("random", "kfac_vfe", "entropy"), seeds=3):
    for i, strategy in enumerate(strategies):
        for seed in range(seeds):
            make_run(root, strategy, seed, FALL * (1 - i / 10 + seed / 100))
    for seed in range(seeds):
        make_run(root, "full", seed, [0.01 + seed / 1000], labelled=[4186])
    return load(root)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_two_panels_with_every_curve_and_the_ground_truth(tmp_path):
    figure = learning_curves(runs(tmp_path))
    early, late = figure.axes
    assert legend(figure) == [
        "random (n = 3)",
        "entropy (n = 3)",
        "kfac_vfe (n = 3)",
        "full training set (n = 3)",
    ]
    for axes in (early, late):
        truth, *lines = axes.get_lines()
        assert truth.get_ydata() == pytest.approx([1.1, 1.1])
        assert len(lines) == 3
        assert lines[0].get_ydata() == pytest.approx(100 * FALL * 1.01)
        assert len(axes.collections) == 3  # bands
        assert len(axes.patches) == 1  # the ground truth's
    assert early.get_ylabel() == "test error (%)"
    assert early.get_ylim()[1] > 4 * late.get_ylim()[1]
    assert late.get_xlim()[0] < early.get_xlim()[1]


def test_curves_differ_without_colour(tmp_path):
    names = ["random", *(f"s{i}" for i in range(8))]
    lines = learning_curves(runs(tmp_path, names, seeds=1)).axes[0].get_lines()[1:]
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in lines}
    assert len(looks) == len({line.get_marker() for line in lines}) == 9
    for line in lines[1:]:
        assert 0 < len(line.get_markevery()) <= 6


def test_one_seed_has_no_band(tmp_path):
    figure = learning_curves(runs(tmp_path, seeds=1))
    for axes in figure.axes:
        assert not axes.collections
        assert not axes.patches
    assert legend(figure)[0] == "random (n = 1)"


def test_few_rounds_have_one_panel(tmp_path):
    make_run(tmp_path, "random", 0, [0.5, 0.4, 0.3])
    assert len(learning_curves(load(tmp_path)).axes) == 1


def test_split_is_the_users(tmp_path):
    frame = runs(tmp_path)
    early, late = learning_curves(frame, Look(split=40)).axes
    assert (early.get_title(), late.get_title()) == ("up to 40 labels", "from 40 labels (own scale)")
    for outside in (8, 160, 999):
        with pytest.raises(UsageError, match="from 8 to 160 labels"):
            learning_curves(frame, Look(split=outside))


def test_best_says_that_it_is_a_running_minimum(tmp_path):
    make_run(tmp_path, "random", 0, [0.5, 0.1, 0.4])
    frame = load(tmp_path)
    plain, best = learning_curves(frame).axes[0], learning_curves(frame, Look(best=True)).axes[0]
    assert plain.get_lines()[0].get_ydata() == pytest.approx([50, 10, 40])
    assert best.get_lines()[0].get_ydata() == pytest.approx([50, 10, 10])
    assert best.get_ylabel().replace("\n", " ") == "lowest test error so far (%) (a running minimum)"
    assert "so far" not in plain.get_ylabel()


@pytest.mark.parametrize("errors", [FALL, [0.1] * 4 + [0.0] * 4, [0.3], np.linspace(0.05, 0.04, 8)])
def test_log_axes_have_ticks_to_read(tmp_path, errors):
    for seed in range(2):
        make_run(tmp_path, "random", seed, errors)
    figure = learning_curves(load(tmp_path), Look(log=True))
    save(figure, tmp_path / "log.png")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 0 < low < high
        assert axes.get_yscale() == "log"
        assert any(low <= tick <= high for tick in axes.get_yticks())


def test_the_same_runs_give_the_same_bytes(tmp_path):
    frame = runs(tmp_path)
    for suffix in ("png", "svg", "pdf"):
        first, second = (save(learning_curves(frame), tmp_path / f"{name}.{suffix}") for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_only_full_is_no_figure(tmp_path):
    with pytest.raises(UsageError, match="no strategy but full"):
        learning_curves(runs(tmp_path, []))


def test_draw_run(tmp_path):
    for strategy, errors in (("entropy", FALL), ("full", [0.02])):
        folder = make_run(tmp_path, strategy, 0, errors)
        picture = draw_run(folder)
        assert picture == folder / "curve.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no finished round"):
        draw_run(make_run(tmp_path, "margin", 0, []))


def test_accuracy_is_error_turned_over(tmp_path):
    frame = runs(tmp_path)
    figure = learning_curves(frame, Look(accuracy=True))
    truth, first, *_ = figure.axes[0].get_lines()
    assert truth.get_ydata() == pytest.approx([98.9, 98.9])
    assert first.get_ydata() == pytest.approx(100 - 100 * FALL * 1.01)
    assert figure.axes[0].get_ylabel() == "test accuracy (%)"
    best = learning_curves(frame, Look(accuracy=True, best=True)).axes[0]
    assert "running maximum" in best.get_ylabel()
    with pytest.raises(UsageError, match="leave out --accuracy or --log"):
        Look(accuracy=True, log=True)


def test_every_seed_as_a_thin_line(tmp_path):
    frame = runs(tmp_path, ["random"])
    axes = learning_curves(frame, Look(spread=Spread(interval="seeds"))).axes[0]
    _, *seeds, centre = axes.get_lines()
    assert [line.get_ydata()[0] for line in seeds] == pytest.approx([80, 80.8, 81.6])
    assert centre.get_ydata()[0] == pytest.approx(80.8)
    assert not axes.collections
    assert not axes.patches


def test_differences_are_paired_points(tmp_path):
    rng = np.random.default_rng(0)
    noise = 0.5 + rng.random(3) / 2
    for seed in range(3):
        make_run(tmp_path, "random", seed, FALL * noise[seed])
        make_run(tmp_path, "entropy", seed, FALL * noise[seed] - 0.001)
    figure = differences(load(tmp_path))
    zero, line = figure.axes[0].get_lines()
    assert zero.get_ydata() == [0, 0]
    assert line.get_ydata() == pytest.approx(np.full(20, -0.1))
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert band == pytest.approx(np.full(len(band), -0.1))  # what the seeds do to both cancels
    assert "below 0 is better" in figure.axes[0].get_ylabel()
    with pytest.raises(UsageError, match="nothing shares a seed and a label count with margin"):
        differences(load(tmp_path), baseline="margin")


def test_times_are_seconds_a_round(tmp_path):
    fit, select = times(runs(tmp_path)).axes
    assert fit.get_lines()[0].get_ydata() == pytest.approx(np.full(20, 2.5))  # median of 1.5, 2.5 and 3.5
    assert select.get_lines()[0].get_ydata() == pytest.approx(np.full(19, 0.5))  # the initial set is not selected
    assert {axes.get_yscale() for axes in (fit, select)} == {"log"}


def test_facets_share_pens_and_refuse_what_would_be_mixed(tmp_path):
    for dataset, strategies in (("usps", ("random", "margin")), ("mnist", ("random", "entropy", "margin"))):
        for strategy in strategies:
            make_run(tmp_path, strategy, 0, FALL, dataset=dataset)
    frame = load(tmp_path)
    figure = facets(frame, ["dataset"])
    assert [axes.get_title() for axes in figure.axes] == ["mnist", "usps"]
    margin = [next(x for x in axes.get_lines() if x.get_label().startswith("margin")) for axes in figure.axes]
    assert margin[0].get_color() == margin[1].get_color()
    assert legend(figure) == ["random", "entropy", "margin"]
    with pytest.raises(UsageError, match="differ in dataset too; add it to --facet"):
        facets(frame, ["model"])


def test_published_results_are_markers_in_their_strategys_colour(tmp_path):
    for strategy in ("random", "bald", "margin"):
        make_run(tmp_path, strategy, 0, FALL, labelled=range(100, 2100, 100), dataset="mnist")
    frame = load(tmp_path)
    figure = learning_curves(frame, Look(published=()))
    markers = [line for line in figure.axes[0].get_lines() if line.get_marker() in ("*", "p")]
    (bald,) = [line for line in markers if line.get_markeredgecolor() == pens(["bald", "margin"])["bald"].colour]
    table = published("gal2017").query("strategy == 'bald' and labelled >= 100")
    logged = 100 - 100 * table.loc[table["metric"] == "test_accuracy", "value"]
    printed = table.loc[table["metric"] == "test_error_pct", "value"]
    assert sorted(bald.get_ydata()) == pytest.approx(sorted([*logged, *printed]))
    assert legend(figure)[-2:] == ["gal2017, published", "gissin2019, published"]
    only = learning_curves(frame, Look(published=("gissin2019",)))
    assert legend(only)[-1] == "gissin2019, published"
    with pytest.raises(UsageError, match=r"kirsch1999 has no published curve .*; gal2017, gissin2019 has one"):
        learning_curves(frame, Look(published=("kirsch1999",)))
    assert not any("published" in text for text in legend(learning_curves(frame)))


def test_the_users_own_matplotlib_settings_change_nothing(tmp_path):
    frame = runs(tmp_path)
    plain = save(learning_curves(frame), tmp_path / "plain.png").read_bytes()
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9, "axes.facecolor": "red"}):
        assert save(learning_curves(frame), tmp_path / "mine.png").read_bytes() == plain


@pytest.mark.parametrize("length", [3, 30, 60])
def test_long_names_leave_the_legend_within_the_figure(tmp_path, length):
    for place in range(7):
        make_run(tmp_path, f"{place}" * length, 0, [0.5, 0.4, 0.3])
    figure = learning_curves(load(tmp_path))
    box = figure.legends[0].get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert box.width <= figure.bbox.width
    assert len(legend(figure)) == 7
