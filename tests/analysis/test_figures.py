import numpy as np
import pytest
from made_runs import make_run

from al_runner.analysis import draw_run
from al_runner.analysis.figures import compare
from al_runner.analysis.files import save
from al_runner.analysis.runs import load
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
    figure = compare(runs(tmp_path))
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
    lines = compare(runs(tmp_path, names, seeds=1)).axes[0].get_lines()[1:]
    looks = {(line.get_marker(), str(line._dash_pattern)) for line in lines}
    assert len(looks) == len({line.get_marker() for line in lines}) == 9
    for line in lines[1:]:
        assert 0 < len(line.get_markevery()) <= 6


def test_one_seed_has_no_band(tmp_path):
    figure = compare(runs(tmp_path, seeds=1))
    for axes in figure.axes:
        assert not axes.collections
        assert not axes.patches
    assert legend(figure)[0] == "random (n = 1)"


def test_few_rounds_have_one_panel(tmp_path):
    make_run(tmp_path, "random", 0, [0.5, 0.4, 0.3])
    assert len(compare(load(tmp_path)).axes) == 1


def test_split_is_the_users(tmp_path):
    frame = runs(tmp_path)
    early, late = compare(frame, split=40).axes
    assert (early.get_title(), late.get_title()) == ("up to 40 labels", "from 40 labels (own scale)")
    for outside in (8, 160, 999):
        with pytest.raises(UsageError, match="from 8 to 160 labels"):
            compare(frame, split=outside)


def test_best_says_that_it_is_a_running_minimum(tmp_path):
    make_run(tmp_path, "random", 0, [0.5, 0.1, 0.4])
    frame = load(tmp_path)
    plain, best = compare(frame).axes[0], compare(frame, best=True).axes[0]
    assert plain.get_lines()[0].get_ydata() == pytest.approx([50, 10, 40])
    assert best.get_lines()[0].get_ydata() == pytest.approx([50, 10, 10])
    assert best.get_ylabel().replace("\n", " ") == "lowest test error so far (%) (a running minimum)"
    assert "so far" not in plain.get_ylabel()


@pytest.mark.parametrize("errors", [FALL, [0.1] * 4 + [0.0] * 4, [0.3], np.linspace(0.05, 0.04, 8)])
def test_log_axes_have_ticks_to_read(tmp_path, errors):
    for seed in range(2):
        make_run(tmp_path, "random", seed, errors)
    figure = compare(load(tmp_path), log=True)
    save(figure, tmp_path / "log.png")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 0 < low < high
        assert axes.get_yscale() == "log"
        assert any(low <= tick <= high for tick in axes.get_yticks())


def test_the_same_runs_give_the_same_bytes(tmp_path):
    frame = runs(tmp_path)
    for suffix in ("png", "svg"):
        first, second = (save(compare(frame), tmp_path / f"{name}.{suffix}") for name in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_only_full_is_no_figure(tmp_path):
    with pytest.raises(UsageError, match="no strategy but full"):
        compare(runs(tmp_path, []))


def test_draw_run(tmp_path):
    for strategy, errors in (("entropy", FALL), ("full", [0.02])):
        folder = make_run(tmp_path, strategy, 0, errors)
        picture = draw_run(folder)
        assert picture == folder / "curve.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no finished round"):
        draw_run(make_run(tmp_path, "margin", 0, []))
