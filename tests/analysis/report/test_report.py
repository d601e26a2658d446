"""al-report's parts against values by hand, and its page in a real browser where there is one."""

import csv
import json
import re
import shutil
import subprocess
import sys
from math import log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run
from PIL import Image

from al_runner.analysis import cli_report
from al_runner.analysis.draw.style import pens
from al_runner.analysis.report.bought import class_balance, nearest_distance, purchases, shrunk
from al_runner.analysis.report.checklist import checklist
from al_runner.analysis.report.evidence import PASS, UNKNOWN, WARNING
from al_runner.analysis.report.images import atlas, find_images, fits
from al_runner.analysis.report.page import page
from al_runner.analysis.report.sheets import contact_sheet
from al_runner.analysis.report.source import Source, case_images
from al_runner.data.archive import sha256
from al_runner.data.arrays import DataFile
from al_runner.data.embeddings import embeddings
from al_runner.data.npz import npz
from al_runner.data.split import Split
from al_runner.errors import UsageError

DIGITS = {"dataset": {"_target_": "al_runner.data.digits.digits", "split": {"val": 20}}}
STRATEGIES = {"random": 0.3, "entropy": 0.2}


def buy(folder: Path, rounds, labels, predictions=None):
    """acquired.csv of these ids by round, and predicted.csv of those after the first."""
    rows = [(round_, id_, labels[id_]) for round_, ids in enumerate(rounds) for id_ in ids]
    _write(folder / "acquired.csv", ("round", "id", "label"), rows)
    if predictions is not None:
        said = [(round_, id_, predictions[id_], 0.75) for round_, id_, _ in rows if round_]
        _write(folder / "predicted.csv", ("round", "id", "prediction", "confidence"), said)


def _write(file, head, rows):
    with file.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([head, *rows])


def digits_runs(root, seeds=3):
    """Runs on the bundled digits: 8 images at first, then two queries of 8."""
    from sklearn.datasets import load_digits

    labels = load_digits().target
    for strategy, end in STRATEGIES.items():
        for seed in range(seeds):
            folder = make_run(root, strategy, seed, [0.6, 0.4, end + seed / 100], settings=DIGITS, dataset="digits")
            later = 100 * (strategy == "entropy") + 16 * seed
            rounds = [range(8 * seed, 8 * seed + 8), range(later + 100, later + 108), range(later + 108, later + 116)]
            buy(folder, rounds, labels, predictions=(labels + (np.arange(len(labels)) % 2)) % 10)
            cells = [(2, number, number, 40) for number in range(10)] + [(2, 8, 1, 10)]
            _write(folder / "confusion.csv", ("round", "class", "prediction", "images"), cells)
            start = {
                "device": "cpu: abacus",
                "git_commit": "abc",
                "command": ["al-run", "a=<b>"],
                "started": f"200{seed}",
                "file": {"name": "digits", "sha256": "", "channels": None, "relabel": False},
            }
            (folder / "provenance.json").write_text(json.dumps([start]))
    for seed in range(seeds):
        make_run(root, "full", seed, [0.1], labelled=[1000], settings=DIGITS, dataset="digits")
    return root


def table(*rounds):
    return pd.DataFrame(
        [(r, i, y) for r, pairs in enumerate(rounds) for i, y in pairs], columns=["round", "id", "label"]
    )


def test_class_balance_by_hand():
    bought = table([(0, 0), (1, 0)], [(2, 1), (3, 1)], [(4, 2), (5, 2)])
    expected = [0, log(2) / log(4), log(3) / log(4)]
    assert class_balance(bought, 4) == pytest.approx(expected)


def test_distance_to_the_nearest_is_that_of_every_pair():
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 255, size=(7, 5))
    bought = table([(3, 0), (1, 0)], [(2, 1)], [(0, 1), (6, 1), (4, 1)])
    known, expected = [], []
    for _, part in bought.groupby("round"):
        known += list(part["id"])
        nearest = [min(sqrt(((small[a] - small[b]) ** 2).mean()) for b in known if b != a) for a in part["id"]]
        expected.append(np.mean(nearest))
    assert nearest_distance(bought, small) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(nearest_distance(table([(3, 0)]), small)).all()
    twins = np.vstack([small[0], small[0]])
    assert nearest_distance(table([(0, 0), (1, 0)]), twins) == pytest.approx([0], abs=0.1)


def test_images_shrink_by_the_mean_of_blocks():
    image = np.arange(17 * 16 * 3).reshape(1, 17, 16, 3).astype(np.uint8)
    found = shrunk(image).reshape(8, 8, 3)
    assert found[1, 2].tolist() == image[0, 2:4, 4:6].astype(float).mean(axis=(0, 1)).tolist()
    assert shrunk(np.full((2, 5, 5), 9, dtype=np.uint8)).shape == (2, 25)


def test_purchases_keep_their_order_and_know_what_was_predicted(tmp_path):
    buy(tmp_path, [[5, 3], [9, 1]], dict.fromkeys(range(10), 4), predictions=[0] * 10)
    bought = purchases(tmp_path)
    assert bought["id"].tolist() == [5, 3, 9, 1]
    assert bought["prediction"].fillna(-1).tolist() == [-1, -1, 0, 0]
    (tmp_path / "predicted.csv").unlink()
    assert purchases(tmp_path)["confidence"].isna().all()
    for text, message in (
        ("round,id\n0,3\n", "has no column label"),
        ("round,id,label\n0,x,1\n", "line 2: id is 'x'"),
        ("round,id,label\n0,1,1\n0,1.5,1\n", "line 3: id is '1.5'"),
        ("round,id,label\n0,-1,1\n", "line 2: id is '-1'"),
        (f"round,id,label\n0,{10**23},1\n", f"line 2: id is '{10**23}'"),
        ("round,id,label\n0,7,1\n1,7,1\n", "has id 7 twice"),
    ):
        (tmp_path / "acquired.csv").write_text(text)
        with pytest.raises(UsageError, match=rf"acquired\.csv.* {message}"):
            purchases(tmp_path)
    buy(tmp_path, [[5], [9]], dict.fromkeys(range(10), 4))
    for confidence in ("inf", "-0.1", "1.1", "nan", ""):
        (tmp_path / "predicted.csv").write_text(f"round,id,prediction,confidence\n1,9,4,{confidence}\n")
        with pytest.raises(UsageError, match=rf"predicted\.csv, line 2: confidence is '{confidence}'"):
            purchases(tmp_path)
    (tmp_path / "predicted.csv").unlink()
    (tmp_path / "acquired.csv").unlink()
    assert purchases(tmp_path) is None


def started(file: Path, **options):
    """The starts of a run that read this file."""
    return [{"file": DataFile(file.name, sha256(file))._asdict() | options}]


def test_images_are_found_or_a_reason_is(tmp_path):
    arrays = {"train_images": np.zeros((3, 4, 4), np.uint8), "train_labels": np.array([0, 1, 1])}
    arrays |= {"test_images": np.ones((2, 4, 4), np.uint8), "test_labels": np.array([1, 0])}
    np.savez(tmp_path / "usps.npz", **arrays)
    usps = started(tmp_path / "usps.npz")
    images = find_images(usps, tmp_path)
    assert images.images.shape == (5, 4, 4)
    assert images.labels.tolist() == [0, 1, 1, 1, 0]
    assert images.classes == ("0", "1")
    assert fits(images, table([(4, 0), (3, 1)]))
    assert not fits(images, table([(4, 1)]))
    assert not fits(images, table([(5, 1)]))
    assert "usps.npz is not in" in find_images(usps, tmp_path / "elsewhere")
    for nothing in ([], [{}], [{"file": None}], [{"file": "usps.npz"}], [{"file": {"name": "usps.npz"}}]):
        assert "does not name the file" in find_images(nothing, tmp_path)
    (tmp_path / "usps.npz").write_bytes(b"PK damaged")
    assert "its checksum differs" in find_images(usps, tmp_path)
    assert "can't be read" in find_images(started(tmp_path / "usps.npz"), tmp_path)


@pytest.mark.parametrize(
    "name", ["../usps.npz", "/usps.npz", "..", "", "a/usps.npz", "**", "us\0ps.npz", 5, "x" * 9999]
)
def test_a_name_leads_to_no_file_but_the_data_root_s_own(tmp_path, name):
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True)
    arrays = {f"{part}_images": np.eye(4, dtype=np.uint8)[:, None] for part in ("train", "test")}
    np.savez(tmp_path / "a" / "usps.npz", **arrays, train_labels=[0, 1, 0, 1], test_labels=[0, 1, 0, 1])
    start = [{"file": {"name": name, "sha256": sha256(tmp_path / "a" / "usps.npz")}}]
    assert isinstance(find_images(start, root), str)


@pytest.mark.parametrize("shape", [(0, 4, 4), (6,), (6, 2, 2, 2, 2)])
def test_a_prepared_file_of_another_form_is_no_traceback(tmp_path, shape):
    np.savez(
        tmp_path / "odd.npz",
        train_images=np.zeros(shape, np.uint8),
        train_labels=np.full(shape[0], np.nan),
        test_images=np.zeros(shape, np.uint8),
        test_labels=np.zeros(shape[0], np.int64),
    )
    assert "odd.npz" in find_images(started(tmp_path / "odd.npz"), tmp_path)


def test_own_arrays_are_shown_as_the_run_read_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3)).astype(np.uint8)
    labels = np.array([1, 3, 1, 3, 1, 3, 1, 3, 1])
    parts = {"train": slice(0, 5), "test": slice(5, 7), "val": slice(7, 9)}
    arrays = {f"{part}_images": np.moveaxis(images, -1, 1)[rows] for part, rows in parts.items()}
    np.savez(tmp_path / "own.npz", **arrays, **{f"{part}_labels": labels[rows] for part, rows in parts.items()})
    assert "its channels seem to be first" in find_images(started(tmp_path / "own.npz"), tmp_path)
    found = find_images(started(tmp_path / "own.npz", channels="first", relabel=True), tmp_path)
    assert np.array_equal(found.images, images)
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert found.classes == ("1", "3")


def test_reading_images_brings_no_torch_along():
    program = "import sys, al_runner.analysis.report.images; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize("shape", [(6, 8, 8), (6, 8, 8, 1), (6, 90, 60, 3)])
def test_every_tile_of_the_atlas_is_its_image(shape, tmp_path):
    images = np.zeros(shape, np.uint8) + 10 * np.arange(6, dtype=np.uint8).reshape(-1, *[1] * (len(shape) - 1))
    made = atlas(images, [5, 2, 3])
    assert (made.width, made.height) == ((32, 48) if shape[1] == 90 else (8, 8))
    from base64 import b64decode
    from io import BytesIO

    picture = np.asarray(Image.open(BytesIO(b64decode(made.uri.partition(",")[2]))))
    for id_, place in made.place.items():
        top, left = place // made.columns * made.height, place % made.columns * made.width
        assert (picture[top : top + made.height, left : left + made.width] == 10 * id_).all()


def test_contact_sheets_show_label_prediction_and_score(tmp_path):
    source = Source.of(digits_runs(tmp_path), tmp_path)
    case = source.comparison.cases[0]
    sheet = contact_sheet(source, case, case_images(source, case))
    first = sheet["runs"][0]
    assert first["title"] == "Entropy, seed 0"
    assert [block["round"] for block in first["rounds"]] == [0, 1, 2]
    bought = source.bought[case.each["folder"][0]]
    for block in first["rounds"]:
        expected = bought[bought["round"] == block["round"]]
        assert [tile[1] for tile in block["images"]] == expected["id"].tolist()
        assert [tile[2] for tile in block["images"]] == expected["label"].tolist()
    assert first["rounds"][0]["images"][0][3:] == [None, None]
    assert first["rounds"][1]["images"][0][4] == 0.75


def test_too_many_images_are_thinned_out_evenly(tmp_path, monkeypatch):
    source = Source.of(digits_runs(tmp_path), tmp_path)
    case = source.comparison.cases[0]
    monkeypatch.setattr("al_runner.analysis.report.sheets.MOST_PIXELS", 8 * 8 * 10)
    sheet = contact_sheet(source, case, case_images(source, case))
    assert [block["round"] for block in sheet["runs"][0]["rounds"]] == [0, 2]
    assert sheet["runs"][0]["note"].startswith("2 of 3 rounds are shown")


def found(root):
    checks = checklist(Source.of(root, root).evidence)
    return {check.name: (check.state, check.finding) for check in checks}


def test_a_sound_folder_passes_what_it_can(tmp_path):
    states = {name: state for name, (state, _) in found(digits_runs(tmp_path)).items()}
    assert states == {
        "Paired initial sets": PASS,
        "Several seeds": PASS,
        "Tuned random baseline": WARNING,  # learner=plain
        "Equal training and data": PASS,
        "Full-data line": PASS,
        "Test data never used to choose": PASS,
        "Validation set within the budget": PASS,
        "Query sizes and budgets varied": WARNING,
        "No run missing or unfinished": PASS,
        "Device recorded": PASS,
        "One recorded state of the code": PASS,
    }


def test_strategies_whose_runs_all_failed_are_on_the_page(tmp_path):
    digits_runs(tmp_path)
    for seed in range(3):
        damaged = make_run(tmp_path, "margin", seed, [0.6, 0.4], dataset="digits")
        (damaged / "rounds.csv").write_text("round,labelled\n0,nonsense\n")
        make_run(tmp_path, "egl", seed, [], dataset="digits")
    state, finding = found(tmp_path)["No run missing or unfinished"]
    assert state == WARNING
    text = page(Source.of(tmp_path, tmp_path))
    for strategy in ("margin", "egl"):
        for seed in range(3):
            assert f"{strategy}/seed{seed}" in finding
            assert f"{strategy}/seed{seed}" in text


def test_unequal_settings_are_on_the_page_and_fail_the_check(tmp_path):
    settings = {**DIGITS, "training": {"optimizer": {"lr": 0.1}}, "learner": {"recipe": {"optimizer": {"lr": 0.1}}}}
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.6, 0.5, 0.4], settings=DIGITS)
        make_run(tmp_path, "entropy", seed, [0.6, 0.4, 0.3], settings={**settings, "strategy": {"score": "x"}})
        make_run(tmp_path, "entropy", seed, [0.6, 0.4, 0.3], settings={**settings, "device": "cuda"}, name="mine")
    state, finding = found(tmp_path)["Equal training and data"]
    assert state == WARNING
    assert finding == (
        "entropy, random: they differ in more than the strategy: training.optimizer.lr (0.1, None); "
        "run them with equal settings."
    )
    assert "training.optimizer.lr (0.1, None)" in page(Source.of(tmp_path, tmp_path))


@pytest.mark.parametrize(("learner", "state"), [("fine_tuned", WARNING), ("plain_tuned", PASS)])
def test_only_a_learner_that_tunes_makes_a_tuned_baseline(tmp_path, learner, state):
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.6, 0.5], learner=learner)
    assert found(tmp_path)["Tuned random baseline"][0] == state


def test_seeds_are_counted_for_every_model(tmp_path):
    make_run(tmp_path, "random", 0, [0.6, 0.5], model="a")
    for seed in range(3):
        make_run(tmp_path, "random", seed, [0.6, 0.5], model="b")
    assert found(tmp_path)["Several seeds"] == (WARNING, "Fewer than 3 finished seeds: usps, a random 1.")


def test_who_pays_for_the_validation_set_is_said(tmp_path):
    """Labels that are set aside, images of the data set's own, or both in one comparison."""
    aside, own = ({**DIGITS, "budget": {"query": 8, "val_share": share}} for share in (0.2, None))
    for seed in range(3):
        make_run(tmp_path / "one", "random", seed, [0.6, 0.5], settings=aside)
        make_run(tmp_path / "both", "random", seed, [0.6, 0.5], settings=aside)
        make_run(tmp_path / "both", "entropy", seed, [0.6, 0.5], settings=own)
        make_run(tmp_path / "own", "random", seed, [0.6, 0.5], settings=own)
    said = "A part of the labelled images is set aside for validation: usps 0.2 of them. "
    assert found(tmp_path / "one")["Validation set within the budget"] == (PASS, f"{said}The budget pays for it.")
    large = "The validation set is larger than the final labelled set: 20 images on usps, 16 labels bought."
    for name, begin in (("both", said), ("own", "")):
        assert found(tmp_path / name)["Validation set within the budget"] == (WARNING, begin + large)
    shown = {name: page(Source.of(tmp_path / name, tmp_path / name)) for name in ("one", "both", "own")}
    paid = "0.2 of the labelled images (set aside, so the budget pays for them)"
    free = "the data set&#39;s own validation images (which cost no labels)"
    assert f"Validated on {paid}." in shown["one"]
    assert f"Validated on {paid} or on {free}." in shown["both"]
    assert f"Validated on {free}." in shown["own"]


def test_an_upper_line_that_looks_at_test_images_is_named(tmp_path):
    for strategy, images in (("random", None), ("look_ahead", "test")):
        for seed in range(3):
            make_run(tmp_path, strategy, seed, [0.6, 0.5], settings={"strategy": {"images": images}})
    state, finding = found(tmp_path)["Test data never used to choose"]
    assert state == WARNING
    assert "look_ahead/seed0" in finding


def test_two_budgets_of_two_strategies_are_no_variation(tmp_path):
    for strategy, query in (("random", 10), ("entropy", 40)):
        for seed in range(3):
            make_run(tmp_path, strategy, seed, [0.6, 0.5], settings={"budget": {"query": query}})
    assert found(tmp_path)["Query sizes and budgets varied"][0] == WARNING
    for strategy, query in (("random", 40), ("entropy", 10)):
        for seed in range(3):
            make_run(tmp_path, strategy, seed, [0.6, 0.5], settings={"budget": {"query": query}}, name="other")
    assert found(tmp_path)["Query sizes and budgets varied"][0] == PASS


def test_a_start_without_a_commit_is_counted(tmp_path):
    digits_runs(tmp_path)
    file = next((tmp_path / "digits").glob("*/random/seed0/provenance.json"))
    file.write_text(json.dumps([{"device": "cpu: abacus"}]))
    assert found(tmp_path)["One recorded state of the code"] == (
        WARNING,
        "Commit abc, but it is not recorded for 1 starts of runs.",
    )


def test_every_fault_is_found(tmp_path):
    digits_runs(tmp_path)
    strategies = next((tmp_path / "digits").iterdir())
    shutil.rmtree(strategies / "full")
    text = (strategies / "entropy/seed1/acquired.csv").read_text()
    (strategies / "entropy/seed1/acquired.csv").write_text(text.replace("\n0,8,", "\n0,999,"))
    shutil.rmtree(strategies / "random/seed2")
    for folder, change in (("entropy/seed0", {"device": "an H200"}), ("random/seed0", {"git_commit": "def-dirty"})):
        file = strategies / folder / "provenance.json"
        file.write_text(json.dumps([json.loads(file.read_text())[0] | change]))
    for config in strategies.glob("*/*/config.yaml"):
        config.write_text(config.read_text().replace("val: 20", "val: 25"))
    checks = found(tmp_path)
    for name, words in {
        "Paired initial sets": "digits seed 1",
        "Several seeds": "digits, usps_cnn random 2",
        "Full-data line": "digits, usps_cnn",
        "Validation set within the budget": "25 images on digits, 24 labels bought",
        "No run missing or unfinished": "random seed 2",
        "Device recorded": "an H200",
        "One recorded state of the code": "def-dirty",
    }.items():
        assert checks[name][0] == WARNING, name
        assert words in checks[name][1]


def test_tables_alone_leave_unknown_what_they_do_not_hold(tmp_path):
    shutil.copy(Path(__file__).parents[2] / "support" / "real" / "results.csv", tmp_path)
    states = {name: state for name, (state, _) in found(tmp_path).items()}
    for name in ("Paired initial sets", "Test data never used to choose", "Device recorded"):
        assert states[name] == UNKNOWN
    text = page(Source.of(tmp_path, tmp_path))
    assert "No contact sheets: this folder has no acquired.csv" in text
    assert "This folder has no provenance.json" in text


def test_tuned_learners_and_varied_budgets_pass(tmp_path):
    for budget, query in (("small", 8), ("large", 80)):
        for strategy in STRATEGIES:
            settings = {"budget": {"initial": 8, "query": query}}
            make_run(tmp_path, strategy, 0, [0.5, 0.4], budget=budget, learner="plain_tuned", settings=settings)
    checks = found(tmp_path)
    assert checks["Tuned random baseline"][0] == PASS
    assert checks["Query sizes and budgets varied"][0] == PASS


def test_the_page_asks_the_network_for_nothing_and_escapes_what_it_is_given(tmp_path):
    text = page(Source.of(digits_runs(tmp_path), tmp_path))
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', text)
    assert not re.search(r"@import|url\((?!data:|\$|#)", text)
    assert "al-run a=&lt;b&gt;" in text
    assert text.index("With 24 labels Entropy has the lowest error") < text.index("<main>")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    views = {view["name"]: view for view in data["charts"]["errors0"]}
    assert list(views) == ["test error", "difference to Random", "lowest so far", "validation error"]
    lines = {line["name"]: line for line in views["test error"]["lines"]}
    assert lines["entropy"]["y"] == pytest.approx([60, 40, 21])
    assert {name: line["label"] for name, line in lines.items()} == {"random": "Random", "entropy": "Entropy"}
    pen = pens(["entropy"])["entropy"]
    assert (lines["entropy"]["colour"], lines["entropy"]["marker"]) == pen[:2]
    assert "final - Random" in text
    assert "<td>Entropy</td>" in text
    surprise = {view["name"]: view for view in data["charts"]["bought0"]}["surprise"]
    assert surprise["lines"][0]["y"] == pytest.approx([50, 50])  # every other prediction is wrong


def test_curves_that_end_before_one_run_does_stay_in_the_page(tmp_path):
    digits_runs(tmp_path)
    make_run(tmp_path, "random", 7, [0.6, 0.4, 0.3, 0.2], settings=DIGITS, dataset="digits")  # longer than all others
    text = page(Source.of(tmp_path, tmp_path))
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    views = {view["name"]: view for view in data["charts"]["errors0"]}
    assert {line["name"]: line["x"] for line in views["test error"]["lines"]} == {
        "random": [8, 16, 24, 32],
        "entropy": [8, 16, 24],
    }


def test_the_page_s_question_is_one_that_its_runs_can_answer(tmp_path):
    for strategies, asked in (
        (["badge"], "How does the test error of BADGE change"),
        (["random"], "Which of 2 strategies"),
    ):
        for strategy in strategies:
            make_run(tmp_path, strategy, 0, [0.4, 0.3])
        assert cli_report.main([str(tmp_path)]) == 0
        assert asked in (tmp_path / "report.html").read_text()


def test_the_command(tmp_path, capsys):
    digits_runs(tmp_path / "runs")
    assert cli_report.main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    assert str(tmp_path / "page.html") in capsys.readouterr().out
    first = (tmp_path / "page.html").read_bytes()
    cli_report.main([str(tmp_path / "runs")])
    assert (tmp_path / "runs" / "report.html").read_bytes() == first
    assert cli_report.main([str(tmp_path / "runs"), "--baseline", "nothing"]) == 2
    there = "choose one of entropy, random"
    assert capsys.readouterr().err == f"al-report: --baseline: there is no curve nothing; {there}\n"
    assert cli_report.main([str(tmp_path / "nowhere")]) == 2
    assert "al-report: " in capsys.readouterr().err


CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with sync.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_the_page(browser, tmp_path, width):
    digits_runs(tmp_path)
    cli_report.main([str(tmp_path)])
    tab = browser.new_page(viewport={"width": width, "height": 800})
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None
    )
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    chart = tab.locator("#errors0")
    assert chart.locator("path[data-line]").count() == 2
    chart.locator("button[data-line=entropy]").click()  # a toggle
    assert [line.get_attribute("data-line") for line in chart.locator("path[data-line]").all()] == ["random"]
    assert chart.locator("button[data-line=entropy]").get_attribute("aria-pressed") == "false"
    chart.locator("button[data-line=entropy]").click()
    chart.locator("svg rect[fill=transparent]").hover()
    tip = chart.locator(".tip").inner_text()
    assert tip.startswith("16 labels")
    assert "Entropy: 40.0 %" in tip
    chart.get_by_text("difference to Random").click()
    assert [line.get_attribute("data-line") for line in chart.locator("path[data-line]").all()] == ["entropy"]
    sheet = tab.locator(".sheet")
    assert sheet.locator(".tile").count() == 24
    assert sheet.locator(".tile.wrong").count() == 8
    sheet.locator("select").select_option(label="Random, seed 2")
    assert "id 132" in sheet.locator(".tile").nth(8).get_attribute("title")
    matrix = tab.locator("details.confusion", has_text="Entropy")
    assert matrix.locator("td.right").count() == 10
    assert matrix.locator("td.wrong").inner_text() == "20"
    assert matrix.locator("td.wrong").is_visible()
    other = tab.locator("details.confusion", has_text="Random")
    assert not other.locator("td.wrong").is_visible()
    other.locator("summary").click()
    assert other.locator("td.wrong").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert said == []
    tab.close()


def test_tables_sort_charts_are_saved_and_the_axis_button_says_what_it_does(browser, tmp_path):
    for seed in range(3):
        for place, strategy in enumerate(("random", "badge", "bait", "bald", "ceal", "egl", "entropy", "margin")):
            make_run(tmp_path, strategy, seed, [0.8, 0.5 - 0.05 * place])
    cli_report.main([str(tmp_path)])
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    failed: list[str] = []
    tab.on("pageerror", lambda error: failed.append(str(error)))
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    table = tab.locator("figure.table").first
    names = table.locator("tbody tr td:first-child")
    assert names.first.inner_text() == "Random"
    head = table.locator("th", has_text=re.compile("^final error$"))
    for order, first, last in (("ascending", "Margin", "Random"), ("descending", "Random", "Margin")):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        assert (names.first.inner_text(), names.last.inner_text()) == (first, last)
    table.get_by_role("button", name="rank", exact=True).click()
    assert names.all_inner_texts()[:2] == ["Margin", "Entropy"]
    cue = table.locator(".cue")
    assert cue.is_visible()  # a phone shows a part of the columns
    chart = tab.locator("#errors0")
    assert "more than 6 curves" in chart.locator(".note").inner_text()
    scale = chart.locator("button.scale")
    assert scale.inner_text() == "switch to a linear axis"
    scale.click()
    assert scale.inner_text() == "switch to a logarithmic axis"
    chart.get_by_text("switch all off").click()
    assert chart.locator("path[data-line]").count() == 0
    chart.locator("button[data-line=bald]").click()
    with tab.expect_download() as saved:
        chart.get_by_text("save SVG").click()
    picture = Path(saved.value.path()).read_text()
    assert "BALD (n = 3)" in picture
    assert "Random" not in picture
    with tab.expect_download() as saved:
        chart.get_by_text("save PNG").click()
    assert saved.value.suggested_filename.endswith("-test-error.png")
    assert Path(saved.value.path()).read_bytes()[:4] == b"\x89PNG"
    tab.set_viewport_size({"width": 1400, "height": 800})
    cue.wait_for(state="hidden")
    assert failed == []
    tab.close()


def test_it_can_be_printed(browser, tmp_path):
    digits_runs(tmp_path)
    cli_report.main([str(tmp_path)])
    tab = browser.new_page()
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.emulate_media(media="print")
    assert not tab.locator("#errors0").get_by_text("difference to Random").is_visible()
    assert tab.locator("#errors0 svg path[data-line]").count() == 2
    tab.close()


def test_vectors_have_no_pictures(tmp_path: Path) -> None:
    """Neither a file of vectors nor one of float images is read as pixels; the run's start says which it is."""
    np.savez(tmp_path / "x.npz", embeddings=np.ones((30, 4)), labels=np.arange(30) % 3)
    pixels = {"train_images": np.ones((30, 4, 4)), "train_labels": np.arange(30) % 3}
    np.savez(tmp_path / "floats.npz", **pixels)
    for data in (
        embeddings(str(tmp_path), str(tmp_path / "x.npz"), Split()),
        npz(str(tmp_path), str(tmp_path / "floats.npz"), Split(), values="float"),
    ):
        found = find_images([{"file": data.source}], tmp_path)
        assert isinstance(found, str)
        assert "no pictures" in found
