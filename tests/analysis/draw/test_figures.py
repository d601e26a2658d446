import matplotlib as mpl
import numpy as np
import pytest
from made_runs import make_run
from matplotlib.backends.backend_agg import FigureCanvasAgg

from al_runner.analysis import draw_run
from al_runner.analysis.draw.figures import differences, facets, learning_curves, times
from al_runner.analysis.draw.look import Look, inches
from al_runner.analysis.draw.save import save, save_all
from al_runner.analysis.draw.style import pen_of, pens, sheet
from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.stats.intervals import mean_and_half
from al_runner.analysis.table.display import STRATEGIES, Names
from al_runner.analysis.table.names import across, common_seeds, curve_names
from al_runner.analysis.table.published import matching, published
from al_runner.analysis.table.runs import load
from al_runner.errors import UsageError

FALL = np.geomspace(0.8, 0.02, 20)


def runs(root, strategies=("random", "kfac_vfe", "entropy"), seeds=3):
    for i, strategy in enumerate(strategies):
        for seed in range(seeds):
            make_run(root, strategy, seed, FALL * (1 - i / 50 + seed / 100))
    for seed in range(seeds):
        make_run(root, "full", seed, [0.01 + seed / 1000], labelled=[4186])
    return load(root)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_two_panels_with_every_curve_and_the_ground_truth(tmp_path):
    figure = learning_curves(runs(tmp_path))
    early, late = figure.axes
    assert legend(figure) == [
        "Random",
        "Entropy",
        "KFAC-VFE",
        "Full training set",
    ]
    assert figure.legends[0].get_title().get_text() == "mean of 3 seeds, bands: 95% t interval"
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
    names = list(STRATEGIES)[:20]
    lines = learning_curves(runs(tmp_path, names, seeds=1)).axes[0].get_lines()[1:]
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in lines}
    assert len(looks) == 20
    for line in lines[1:]:
        assert 0 < len(line.get_markevery()) <= 6


def test_random_is_black_under_every_learner():
    drawn = pens(["random", "random-plain", "random-ensemble", "random-bootstrap"])
    assert {(pen.colour, pen.marker) for pen in drawn.values()} == {("#000000", "")}
    assert len({str(pen.dashes) for pen in drawn.values()}) == 4


@pytest.mark.parametrize("number", range(1, 10))
def test_strategies_of_one_figure_differ_in_colour_while_there_are_colours(number):
    """Two that would have the same colour, and more; random is black."""
    alike = [name for name in STRATEGIES if pen_of(name).colour == pen_of("entropy").colour]
    names = [*alike, *(name for name in STRATEGIES if name not in alike)]
    chosen = [name for name in names if name != "random"][:number]
    drawn = pens([*chosen, "random", f"{chosen[0]}-twice"])
    assert len({drawn[name].colour for name in chosen}) == number
    assert drawn[f"{chosen[0]}-twice"].colour == drawn[chosen[0]].colour
    assert {name: drawn[name][1:] for name in chosen} == {name: pen_of(name)[1:] for name in chosen}
    assert len(set(drawn.values())) == number + 2


def test_a_strategy_looks_the_same_in_every_figure():
    few, many = pens(["kfac_vfe", "random"]), pens([*STRATEGIES, "ours", "kfac_vfe-maximise", "random-ensemble"])
    assert {name: many[name] for name in few} == few
    assert len({pen[:2] for name, pen in many.items() if name in STRATEGIES}) == len(STRATEGIES)  # colour and marker
    assert len({pen[1:] for name, pen in many.items() if name in STRATEGIES}) == len(STRATEGIES)  # grey
    assert len(set(many.values())) == len(many)
    assert many["ours"] == pens(["ours"])["ours"]
    assert many["kfac_vfe-maximise"][:2] == many["kfac_vfe"][:2]
    assert many["random-ensemble"].colour == many["random"].colour == "#000000"
    crowd = pens(f"s{i}" for i in range(100))
    assert len(set(crowd.values())) == 100


def test_variants_of_the_only_strategy_have_colours_of_their_own():
    learners = "acgan", "dropout", "ensemble", "vae_acgan"
    drawn = pens([*(f"bald-{learner}" for learner in learners), "random-acgan", "random-dropout"])
    bald = [pen for name, pen in drawn.items() if name.startswith("bald")]
    assert len({pen.colour for pen in bald}) == len({pen.marker for pen in bald}) == 4
    assert {pen.colour for name, pen in drawn.items() if name.startswith("random")} == {"#000000"}
    assert len(set(drawn.values())) == 6
    two = pens(["bald-acgan", "bald-dropout"])  # dashes suffice
    assert len({pen.colour for pen in two.values()}) == 1


def test_no_axis_shows_more_than_the_whole(tmp_path):
    """With two seeds, intervals are wide; an accuracy is at most 100 %."""
    for seed, errors in enumerate([[0.30, 0.02], [0.10, 0.00]]):
        make_run(tmp_path, "bald", seed, errors)
    shown, lost = (learning_curves(load(tmp_path), Look(accuracy=accuracy)).axes[0] for accuracy in (True, False))
    assert shown.get_ylim()[1] == 100
    assert lost.get_ylim()[0] == 0
    assert 60 < shown.get_ylim()[0] < 95


def test_curves_are_named_as_papers_do_or_as_the_user_says(tmp_path):
    for strategy, name in (("random", ""), ("kfac_vfe", ""), ("kfac_vfe", "all_layers"), ("my_own", "")):
        make_run(tmp_path, strategy, 0, FALL, name=name)
    frame = load(tmp_path)
    assert legend(learning_curves(frame)) == ["Random", "KFAC-VFE", "KFAC-VFE (all layers)", "my_own"]
    names = Names.of(["kfac_vfe=Fisher", "my_own=Mine"], ["kfac_vfe", "my_own"])
    look = Look(names=names, order=("my_own", "kfac_vfe"))
    assert legend(learning_curves(frame, look)) == ["Mine", "Fisher", "Random", "Fisher (all layers)"]
    with pytest.raises(UsageError, match="--order: there is no curve badge; choose some of random, kfac_vfe"):
        learning_curves(frame, Look(order=("badge",)))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("cifar10-efficientnet_lite0, linear_probe", "CIFAR-10 (EfficientNet-Lite0), linear probe"),
        ("usps-long_tailed, usps_cnn, ensemble", "USPS (long tailed), USPS net, ensemble"),
        ("cifar10-long_tailed-efficientnet_lite0, mlp", "CIFAR-10 (long tailed, EfficientNet-Lite0), mlp"),
        ("photos, resnet18", "photos, ResNet-18"),
    ],
)
def test_titles_name_data_features_and_nets_as_papers_do(words, shown):
    assert Names().title(words) == shown


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("kfac_vfe", 'give it as --label name="what is shown"'),
        ("badge=B", "nothing here is called badge; choose some of kfac_vfe, random"),
        ("kfac_vfe=Random", "Random would be the name of two things; give kfac_vfe another name"),
    ],
)
def test_a_label_of_nothing_or_of_two_is_refused(word, message):
    with pytest.raises(UsageError, match=message):
        Names.of([word], ["random", "kfac_vfe", ""])


def test_seeds_are_counted_where_curves_differ_in_them(tmp_path):
    for strategy, seeds in (("random", 3), ("entropy", 2)):
        for seed in range(seeds):
            make_run(tmp_path, strategy, seed, FALL)
    figure = learning_curves(load(tmp_path))
    assert legend(figure) == ["Random (n = 3)", "Entropy (n = 2)"]
    assert figure.legends[0].get_title().get_text() == "mean of 2 to 3 seeds, bands: 95% t interval"


def test_a_log_axis_has_bands_that_never_reach_its_floor(tmp_path):
    for seed, level in enumerate((0.2, 1.0, 1.0)):
        make_run(tmp_path, "random", seed, FALL * level)
    mean, half = mean_and_half(100 * FALL[:, None] * np.array([0.2, 1.0, 1.0]))
    assert (mean - half < 0).all()
    band = learning_curves(load(tmp_path), Look(log=True, split=0)).axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx((mean * np.exp(-half / mean)).min())
    assert band.max() == pytest.approx((mean * np.exp(half / mean)).max())
    linear = learning_curves(load(tmp_path), Look(split=0)).axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert linear.min() == pytest.approx((mean - half).min())


def test_ticks_are_rounds(tmp_path):
    make_run(tmp_path, "random", 0, FALL[:9], labelled=range(10, 370, 40))
    axes = learning_curves(load(tmp_path)).axes[0]
    assert set(axes.get_xticks()) <= set(range(10, 370, 40))
    assert len(axes.get_xticks()) > 4


@pytest.mark.parametrize("width", [3.25, 6.3])
@pytest.mark.parametrize("draw", [learning_curves, times])
def test_twenty_five_strategies_leave_the_panels_their_height(tmp_path, draw, width):
    for strategy in list(STRATEGIES)[:25]:
        make_run(tmp_path, strategy, 0, FALL[:13])
    frame = load(tmp_path)
    few, many = (draw(part, Look(width=width)) for part in (frame[frame["strategy"].isin(["random", "badge"])], frame))
    for figure in (few, many):
        figure.draw_without_rendering()  # lays it out
    heights = [figure.axes[0].get_position().height * figure.get_figheight() for figure in (few, many)]
    assert heights[1] == pytest.approx(heights[0], rel=0.08)
    assert len(legend(many)) == 25
    box = many.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= many.bbox.width
    assert box.y1 <= many.axes[-1].get_tightbbox().y0


def test_seeds_that_not_all_curves_have_can_be_left_out(tmp_path):
    for strategy, seeds in (("random", (0, 1, 2)), ("entropy", (1, 2, 3)), ("full", (7,))):
        for seed in seeds:
            make_run(tmp_path, strategy, seed, FALL if strategy != "full" else [0.01])
    for seed in (4, 5):
        make_run(tmp_path, "random", seed, FALL, dataset="mnist")
    frame = common_seeds(load(tmp_path))
    assert frame.groupby(["dataset", "strategy"])["seed"].unique().map(list).to_dict() == {
        ("mnist", "random"): [4, 5],
        ("usps", "entropy"): [1, 2],
        ("usps", "full"): [7],
        ("usps", "random"): [1, 2],
    }
    with pytest.raises(UsageError, match="the curves of usps, usps_cnn, plain, adam8, usps share no seed"):
        common_seeds(load(tmp_path).query("strategy == 'entropy' and seed == 3 or strategy == 'random'"))


def test_more_than_six_curves_have_no_bands(tmp_path):
    frame = runs(tmp_path, list(STRATEGIES)[:7], seeds=2)
    figure = learning_curves(frame)
    assert not figure.axes[0].collections
    assert figure.legends[0].get_title().get_text() == "mean of 2 seeds"


def test_a_narrow_figure_has_one_panel_and_split_none_too(tmp_path):
    frame = runs(tmp_path)
    narrow = learning_curves(frame, Look(width=3.25))
    assert (len(narrow.axes), narrow.get_figwidth()) == (1, 3.25)
    assert len(learning_curves(frame, Look(split=0)).axes) == 1
    assert len(learning_curves(frame, Look(width=3.25, split=40)).axes) == 2


def test_widths_have_units():
    assert [inches(word) for word in ("3.25in", "7.62cm", "76.2mm", "216.81pt")] == pytest.approx([3.25, 3, 3, 3])
    for word in ("3.25", "in", "0.1in", "900in", "3em"):
        with pytest.raises(UsageError, match="--width is"):
            inches(word)


def test_a_notebook_shows_a_figure_by_itself(tmp_path):
    assert learning_curves(runs(tmp_path))._repr_png_().startswith(b"\x89PNG")


def test_one_seed_has_no_band(tmp_path):
    figure = learning_curves(runs(tmp_path, seeds=1))
    for axes in figure.axes:
        assert not axes.collections
        assert not axes.patches
    assert legend(figure)[0] == "Random"
    assert figure.legends[0].get_title().get_text() == "one seed"


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


@pytest.mark.parametrize(("error", "limits"), [(0.0, (0, 1)), (0.05, (4, 6)), (1.0, (99, 100))])
def test_an_error_that_never_changes_has_readable_ticks(tmp_path, error, limits):
    make_run(tmp_path, "random", 0, [error] * 4)
    (axes,) = learning_curves(load(tmp_path)).axes
    assert axes.get_ylim() == pytest.approx(limits)


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


def test_a_saved_figure_is_as_matplotlib_lays_it_out_and_can_be_changed_afterwards(tmp_path):
    figure = learning_curves(runs(tmp_path))
    dpi, engine = figure.dpi, figure.get_layout_engine()
    png, svg = save_all(figure, [tmp_path / "a.png", tmp_path / "a.svg"])
    with sheet():
        figure.savefig(tmp_path / "plain.png", dpi=200)
    assert png.read_bytes() == (tmp_path / "plain.png").read_bytes()
    assert svg.read_bytes() == save(learning_curves(load(tmp_path)), tmp_path / "alone.svg").read_bytes()
    assert (figure.dpi, figure.get_layout_engine()) == (dpi, engine)
    figure.axes[0].set_ylabel("two lines\nneed more room")
    left = figure.axes[0].get_position().x0
    save(figure, tmp_path / "b.png")
    assert figure.axes[0].get_position().x0 > left


def test_only_full_is_no_figure(tmp_path):
    with pytest.raises(UsageError, match="full is the only strategy"):
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
    assert [axes.get_title() for axes in figure.axes] == ["MNIST", "USPS"]
    margin = [next(x for x in axes.get_lines() if x.get_label().startswith("Margin")) for axes in figure.axes]
    assert margin[0].get_color() == margin[1].get_color()
    assert legend(figure) == ["Random", "Entropy", "Margin"]
    with pytest.raises(UsageError, match="differ in dataset too; add it to --facet"):
        facets(frame, ["model"])


def test_published_results_are_markers_in_their_strategys_colour(tmp_path):
    for strategy in ("random", "bald", "margin"):
        make_run(tmp_path, strategy, 0, FALL, labelled=range(100, 2100, 100), dataset="mnist")
    frame = load(tmp_path)
    figure = learning_curves(frame, Look(published=()))
    markers = [line for line in figure.axes[0].get_lines() if line.get_marker() in ("*", "8")]
    (bald,) = [line for line in markers if line.get_markeredgecolor() == pens(["bald", "margin"])["bald"].colour]
    table = published("gal2017").query("strategy == 'bald' and labelled >= 100")
    logged = 100 - 100 * table.loc[table["metric"] == "test_accuracy", "value"]
    printed = table.loc[table["metric"] == "test_error_pct", "value"]
    assert sorted(bald.get_ydata()) == pytest.approx(sorted([*logged, *printed]))
    assert legend(figure)[-2:] == ["Gal et al. (2017), published", "Gissin & Shalev-Shwartz (2019), published"]
    only = learning_curves(frame, Look(published=("gissin2019",)))
    assert legend(only)[-1] == "Gissin & Shalev-Shwartz (2019), published"
    with pytest.raises(UsageError, match=r"kirsch1999 has no published curve .*; gal2017, gissin2019 has one"):
        learning_curves(frame, Look(published=("kirsch1999",)))
    assert not any("published" in text for text in legend(learning_curves(frame)))


def test_published_arms_belong_to_the_curves_of_their_learner_and_training(tmp_path):
    arms = [(learner, "tran2019") for learner in ("plain", "dropout", "vae_acgan", "acgan")]
    made = {"model": "resnet18", "dataset": "mnist", "labelled": range(2000, 17000, 1000)}
    for learner, training in (*arms, ("dropout", "tran2019_turned")):
        make_run(tmp_path, "bald", 0, FALL[:15], learner=learner, training=training, **made)
    make_run(tmp_path, "random", 0, FALL[:15], learner="acgan", training="tran2019", **made)
    frame = across(load(tmp_path), "learner,training")
    figure = learning_curves(frame, Look(published=("tran2019",)))
    markers = [line for line in figure.axes[-1].get_lines() if line.get_marker() == "*"]
    assert all(line.get_xdata().tolist() == [16000] for line in markers)
    colours = {pen.colour: name for name, pen in pens(dict.fromkeys(curve_names(frame))).items()}
    assert {colours[line.get_markeredgecolor()]: round(line.get_ydata()[0], 2) for line in markers} == {
        "bald-vae_acgan-tran2019": 0.47,
        "bald-acgan-tran2019": 0.55,
        "bald-dropout-tran2019_turned": 0.63,
        "bald-dropout-tran2019": 0.67,
        "random-acgan-tran2019": 0.67,
    }


@pytest.mark.parametrize("log", [False, True])
def test_the_axis_shows_all_published_points_and_no_more_than_it_must(tmp_path, log):
    for strategy in ("random", "bald"):
        make_run(tmp_path, strategy, 0, [0.5, 0.45, 0.4], labelled=[20, 100, 200], dataset="mnist")
    frame = load(tmp_path)
    plain, drawn = (learning_curves(frame, Look(published=papers, log=log)).axes[0].get_ylim() for papers in (None, ()))
    points = 100 * matching("mnist", ["random", "bald"], span=(20, 200))["test_error"]
    assert points.min() < plain[0] and drawn[0] < points.min() < 1.5 * max(drawn[0], 1)
    assert drawn[1] >= max(plain[1], points.max())


def test_published_numbers_of_another_net_are_left_out_if_there_are_some_of_the_same():
    def tran(curve, **more):
        return (100 * matching("mnist", [curve], ["tran2019"], **more)["test_error"]).round(2).tolist()

    assert tran("bald-acgan", model="preact_resnet18") == [0.43]
    assert tran("bald-acgan", model="lenet5") == [0.55, 0.43]
    assert tran("bald-pmda-dropout-tran2019_turned", model="resnet18") == [0.63]


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


@pytest.mark.parametrize(("interval", "note"), [("t", "bars: 95% t interval"), ("seeds", "small dots: seeds")])
def test_a_single_round_shows_its_interval_or_its_seeds(tmp_path, interval, note):
    for strategy, errors in (("random", (0.50, 0.54, 0.58)), ("egl", (0.51, 0.52, 0.53))):
        for seed, error in enumerate(errors):
            make_run(tmp_path, strategy, seed, [error])
    figure = learning_curves(load(tmp_path), Look(spread=Spread("mean", interval)))
    assert figure.legends[0].get_title().get_text() == f"mean of 3 seeds, {note}"
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    if interval == "t":
        mean, half = mean_and_half(np.array([[50.0, 54.0, 58.0], [51.0, 52.0, 53.0]]))
        bars = [bar.get_segments()[0][:, 1] for bar in axes.collections]
        np.testing.assert_allclose(sorted(map(list, bars)), sorted(map(list, np.stack([mean - half, mean + half], 1))))
        assert low < min(mean - half)
        assert high > max(mean + half)
    else:
        dots = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "."]
        np.testing.assert_allclose(sorted(dots), [50, 51, 52, 53, 54, 58])
        assert low < 50
        assert high > 58
