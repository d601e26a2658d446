"""A run whose labels come from a person, from nothing to its last round, and what goes wrong on the way."""

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy
from command import Command
from faults import Child, killed_at_sync
from labelled import COUNT, colour_of, fill, photos, rows, run_folder, words
from recorded import untimed

from al_runner.errors import UsageError
from al_runner.oracle.person import Person
from al_runner.record.journal import NAME, Answered, Asked, Bought, Ended, read
from al_runner.record.state import ASKING, DONE
from al_runner.record.state import read as state_of

WAITS = 3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos(tmp_path_factory.mktemp("photos"))


def test_from_nothing_to_the_last_round(al_run: Command, root: Path, tmp_path: Path) -> None:
    code, output = al_run(*words(root, tmp_path))
    folder = run_folder(tmp_path)
    assert (code, state_of(folder).state) == (WAITS, ASKING)  # type: ignore[union-attr]
    assert "in 3 channels, no class yet; 35 to choose from" in output
    assert "waiting for the labels of 19 images (13 are for validation and test" in output
    assert "--labels PATH/query.csv" in output
    assert [len(json.loads((folder / "query-label-studio.json").read_text()))] == [19]
    asked = [*rows(folder / "query.csv")]
    assert [row["guess"] for row in asked] == [""] * 19
    assert not (folder / "rounds.csv").exists()
    for round_, count in ((0, 4), (1, 4)):
        fill(folder / "query.csv")
        code, output = al_run(*words(root, tmp_path))
        assert (code, state_of(folder).state) == (WAITS, ASKING)  # type: ignore[union-attr]
        assert "in 3 channels, 3 classes; 35 to choose from" in output
        query = rows(folder / "query.csv")
        assert len(query) == count
        said = {row["id"]: row for row in query}
        assert all(row["guess"] in ("red", "green", "blue") and 0 < float(row["sureness"]) <= 1 for row in query)
        assert not {row["id"] for row in asked} & {*said}
        asked += query
        assert len(rows(folder / "rounds.csv")) == round_ + 1
    fill(folder / "query.csv")
    code, output = al_run(*words(root, tmp_path))
    assert (code, state_of(folder).state) == (0, DONE)  # type: ignore[union-attr]
    assert [row["labelled"] for row in untimed(folder)] == ["6", "10", "14"]
    assert {row["test_images"] for row in untimed(folder)} == {"8"}
    names = ("blue", "green", "red")  # by name, as all came with the first query
    assert all(names[int(row["label"])] == colour_of(row["file"]) for row in rows(folder / "acquired.csv"))
    answered = rows(folder / "answered.csv")
    assert [row["id"] for row in answered] == [row["id"] for row in asked]
    assert all(row["class"] == colour_of(row["file"]) for row in answered)
    assert sorted(file.name for file in (folder / "answered").iterdir()) == ["001.csv", "002.csv", "003.csv"]
    assert [*folder.glob("query*")] == []
    assert al_run(*words(root, tmp_path))[0] == 0  # once more: nothing to do


def test_a_simulated_run_on_the_same_labels_gives_the_same_rows(al_run: Command, root: Path, tmp_path: Path) -> None:
    """The same images as arrays, all labelled: the person's run measures and buys what the simulated one does."""
    from PIL import Image

    files = sorted((root / "unlabelled").iterdir())
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    labels = np.array([["blue", "green", "red"].index(colour_of(file.name)) for file in files])
    none = np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64)
    for name, known in (("whole", labels), ("open", np.full(COUNT, -1))):
        named = {"train_images": images, "train_labels": known, "test_images": none[0], "test_labels": none[1]}
        np.savez(tmp_path / name, classes=np.array(["blue", "green", "red"]), **named)
    own = [
        word for word in words(root, tmp_path) if not word.startswith(("dataset=", "dataset.path", "oracle", "results"))
    ]
    simulated = ["dataset=npz", f"dataset.path={tmp_path / 'whole.npz'}", f"results={tmp_path / 'a'}", *own]
    asking = [
        "dataset=npz",
        f"dataset.path={tmp_path / 'open.npz'}",
        f"results={tmp_path / 'b'}",
        *own,
        "oracle=person",
    ]
    assert al_run(*simulated)[0] == 0
    for code in (WAITS, WAITS, WAITS, 0):
        assert al_run(*asking)[0] == code
        if code:
            table = run_folder(tmp_path / "b") / "query.csv"
            head, *lines = table.read_text().splitlines()
            named = [line.split(",") for line in lines]
            filled = [",".join([line[0], "", colour_of(f"{int(line[0]):02d}.png"), "", ""]) for line in named]
            table.write_text("\n".join([head, *filled]) + "\n")
    assert untimed(run_folder(tmp_path / "a")) == untimed(run_folder(tmp_path / "b"))
    bought = [[row["id"] for row in rows(run_folder(tmp_path / name) / "acquired.csv")] for name in "ab"]
    assert bought[0] == bought[1]


def test_wrong_missing_double_and_new_labels(al_run: Command, root: Path, tmp_path: Path) -> None:
    """Half an answer with every mistake: what is sound is kept, a mistake gets a line, the rest is asked again."""
    al_run(*words(root, tmp_path, "oracle.classes=[red,green,blue]"))
    folder, filled = run_folder(tmp_path), tmp_path / "my labels, 1=x.csv"
    query = rows(folder / "query.csv")
    files = [row["file"] for row in query]
    fill(folder / "query.csv", {files[0]: "", files[1]: "gren", files[2]: "new:violet", files[3]: "?"}, filled)
    with filled.open("a") as stream:
        stream.write(f"{query[4]['id']},,violet,,\n999,,red,,\n")
    code, output = al_run(*words(root, tmp_path, "oracle.classes=[red,green,blue]"), "--labels", str(filled))
    assert code == WAITS
    assert f"image {query[1]['id']}: 'gren' is no class (the classes are: red, green, blue, violet)" in output
    assert f"image {query[4]['id']} has several labels ({colour_of(files[4])}, violet); give one" in output
    assert "'999' is not the id of an image that was asked for" in output
    left = rows(folder / "query.csv")
    assert {row["id"]: row["label"] for row in left} == {
        query[0]["id"]: "", query[1]["id"]: "gren", query[4]["id"]: "",
    }  # fmt: skip
    assert len(rows(folder / "answered.csv")) == 16
    # Nothing new: as before, and nothing is lost.
    again = al_run(*words(root, tmp_path, "oracle.classes=[red,green,blue]"))
    assert again[0] == WAITS
    assert rows(folder / "query.csv") == left
    fill(folder / "query.csv")
    assert al_run(*words(root, tmp_path, "oracle.classes=[red,green,blue]"))[0] == WAITS
    events = read((folder / NAME).read_bytes()).events
    answers = [event for event in events if isinstance(event, Answered)]
    assert [len(event.id) for event in answers] == [16, 3]
    assert answers[0].label[[*answers[0].id].index(int(query[2]["id"]))] == 3  # violet, after the three
    assert len(rows(folder / "rounds.csv")) == 1
    used = {bought["id"] for bought in rows(folder / "acquired.csv")}
    assert query[3]["id"] not in used
    validation, test = 5, int(untimed(folder)[0]["test_images"])
    assert len(used) + validation + test in (18, 19)  # 18 where the one that can't be told was none to validate on


def test_an_image_that_nobody_can_label_is_never_asked_for_again(al_run: Command, root: Path, tmp_path: Path) -> None:
    al_run(*words(root, tmp_path))
    folder = run_folder(tmp_path)
    fill(folder / "query.csv")
    al_run(*words(root, tmp_path))
    query = rows(folder / "query.csv")
    unsure = {query[0]["file"]: "?", query[1]["file"]: "?"}
    fill(folder / "query.csv", unsure)
    assert al_run(*words(root, tmp_path))[0] == WAITS
    assert not {row["file"] for row in rows(folder / "query.csv")} & {*unsure}
    fill(folder / "query.csv")
    assert al_run(*words(root, tmp_path))[0] == 0
    assert [row["labelled"] for row in untimed(folder)] == ["6", "8", "12"]
    assert al_run(*words(root, tmp_path, "budget.max_rounds=3"))[0] == WAITS  # and it can be continued


def test_nothing_is_lost_where_no_image_can_be_measured_with(al_run: Command, root: Path, tmp_path: Path) -> None:
    al_run(*words(root, tmp_path))
    folder = run_folder(tmp_path)
    fill(folder / "query.csv", {row["file"]: "?" for row in rows(folder / "query.csv")})
    code, output = al_run(*words(root, tmp_path))
    assert (code, len(output.strip().splitlines())) == (1, 1)
    assert (
        "none of the 5 images to validate on got a label; choose more of them with dataset.split.val=NUMBER" in output
    )
    assert len(rows(folder / "answered.csv")) == 19


def test_nobody_is_asked_for_validation_images_if_labelled_ones_are_set_aside(
    al_run: Command, root: Path, tmp_path: Path
) -> None:
    """An image that can't be told is in no role, and a run of one label has nothing to validate on."""
    command = words(root, tmp_path, "budget.val_share=0.5", "budget.max_rounds=1")
    _, output = al_run(*command)
    assert "35 to choose from, 5 unused (dataset.split.val=0 adds them to these), 8 for the test" in output
    assert "2 rounds, from 6 labels to 10, of them 3 to 5 for validation" in output
    assert "waiting for the labels of 14 images (8 are for validation and test" in output
    folder = run_folder(tmp_path)
    bought = [row["id"] for row in rows(folder / "asked.csv")]
    unsure = [row["file"] for row in rows(folder / "query.csv") if row["id"] in bought]
    fill(folder / "query.csv", dict.fromkeys(unsure[:2], "?"))
    assert al_run(*command)[0] == WAITS
    fill(folder / "query.csv")
    assert al_run(*command)[0] == 0
    assert [row["labelled"] for row in untimed(folder)] == ["4", "8"]
    halves, quarters = ({str(part / of) for part in range(of + 1)} for of in (2, 4))
    assert untimed(folder)[0]["val_error"] in halves and untimed(folder)[1]["val_error"] in quarters
    assert untimed(folder)[0]["train_error"] in halves and untimed(folder)[1]["train_error"] in quarters

    anew = [*command, "overwrite=true"]
    al_run(*anew)
    fill(folder / "query.csv", dict.fromkeys(unsure[:5], "?"))
    code, output = al_run(*command)
    assert (code, "1 of the first 6 images got a label, so there is none to validate on; raise" in output) == (1, True)


def test_a_test_set_of_ones_own_and_images_that_have_labels(al_run: Command, root: Path, tmp_path: Path) -> None:
    """Classes beside the unlabelled ones are the first purchase; test/ and val/ are what is measured with."""
    own = tmp_path / "own"
    for number, file in enumerate(sorted((root / "unlabelled").iterdir())):
        part = {0: "", 1: "test", 2: "val", 3: "test"}.get(number // 6)
        place = own / "unlabelled" if part is None else own / part / colour_of(file.name)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / file.name)
    command = [word for word in words(own, tmp_path) if ".split." not in word]
    code, output = al_run(*command)
    folder = run_folder(tmp_path)
    assert (code, "waiting for the labels of 4 images\n" in output) == (WAITS, True)
    first = untimed(folder)[0]
    assert (first["labelled"], first["test_images"], first["pool_images"]) == ("6", "12", "30")
    query = rows(folder / "query.csv")
    assert all(row["file"].startswith("unlabelled/") and row["guess"] for row in query)
    fill(folder / "query.csv")
    assert al_run(*command)[0] == WAITS


def test_killed_anywhere_between_the_query_and_the_answer(root: Path, tmp_path: Path) -> None:
    """SIGKILL at every few forced writes of a start that asks, and of one that takes answers in: nothing is lost."""
    whole = tmp_path / "whole"
    assert Child(words(root, whole), tmp_path / "log").wait() == WAITS
    asked = (run_folder(whole) / "query.csv").read_bytes()
    answers = fill(run_folder(whole) / "query.csv", to=tmp_path / "filled.csv")
    tried = 0
    for place in range(1, 60, 3):
        results = tmp_path / f"asks{place}"
        shutil.copytree(whole / "data", results / "data")
        if Child(words(root, results), tmp_path / "log", killed_at_sync(place)).wait() != -signal.SIGKILL:
            break
        tried += 1
        assert Child(words(root, results), tmp_path / "log").wait() == WAITS
        assert (run_folder(results) / "query.csv").read_bytes() == asked
        shutil.rmtree(results)
    for place in range(1, 60, 4):
        results = tmp_path / f"answers{place}"
        shutil.copytree(whole, results)
        folder = run_folder(results)
        shutil.copy(tmp_path / "filled.csv", folder / "query.csv")
        if Child(words(root, results), tmp_path / "log", killed_at_sync(place)).wait() != -signal.SIGKILL:
            break
        tried += 1
        assert Child(words(root, results), tmp_path / "log").wait() == WAITS
        held = {row["id"]: row["class"] for row in rows(folder / "answered.csv")}
        assert held == {row["id"]: row["label"] for row in answers}
        events = read((folder / NAME).read_bytes()).events
        assert [event.round for event in events if isinstance(event, Asked)] == [0, 1]
        assert [event.round for event in events if isinstance(event, Bought)] == [0]
        assert not isinstance(events[-1], Ended)
        shutil.rmtree(results)
    assert tried >= 6


def test_what_can_t_be(al_run: Command, root: Path, tmp_path: Path) -> None:
    early = al_run(*words(root, tmp_path), "--labels", str(tmp_path / "no.csv"))
    assert early[0] == 1
    assert "has asked for no labels yet" in early[1]
    al_run(*words(root, tmp_path))
    missing = al_run(*words(root, tmp_path), "--labels", str(tmp_path / "no.csv"))
    assert missing[0] == 1
    assert "no.csv can't be read (No such file or directory); name the filled file with --labels FILE" in missing[1]
    assert state_of(run_folder(tmp_path)).state != DONE  # type: ignore[union-attr]
    assert (
        al_run("--labels")[1]
        == "al-run: --labels needs a file: the filled query.csv, as in --labels Downloads/query.csv"
    )
    sweep = al_run("-m", *words(root, tmp_path / "sweep"), "hydra/launcher=basic")
    assert sweep[0] == 1
    assert "oracle=person asks a person, one run at a time; leave out -m and lists of values" in sweep[1]
    hidden = al_run(*[word for word in words(root, tmp_path / "other") if word != "oracle=person"])
    assert hidden[0] == 1
    assert (
        "48 images have no label, and oracle=simulated answers with the data set's own; take oracle=person" in hidden[1]
    )


def test_without_a_person_there_are_no_labels_to_hand_in(al_run: Command, tmp_path: Path) -> None:
    digits = al_run("dataset=digits", f"results={tmp_path}", "--labels", "x.csv")
    assert digits == (1, "al-run: --labels needs oracle=person")


def test_a_person_who_is_never_asked_is_told_so(al_run: Command, root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    for file in sorted((root / "unlabelled").iterdir()):
        place = own / colour_of(file.name)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / file.name)
    said = f"all images have labels already, so nobody is asked; put images without labels into {own}/unlabelled"
    code, output = al_run(*words(own, tmp_path, "budget.max_rounds=1"))
    assert (code, output.count(said)) == (0, 1)
    assert said not in al_run(*words(own, tmp_path, "budget.max_rounds=1"))[1]  # it has nothing to do any more


def test_a_class_of_oracle_classes_may_have_its_letters_taken_apart_in_the_folder() -> None:
    data = replace(toy.data_set(), classes=("Ka\u0308fer", "Biene"))
    assert Person(data, ["K\u00e4fer", "Wespe"]).names == ("Ka\u0308fer", "Biene", "Wespe")


def test_five_channels_are_shown(al_run: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = tmp_path / "data.npz"
    np.savez(data, train_images=rng.integers(0, 256, (40, 8, 8, 5), dtype=np.uint8), train_labels=np.full(40, -1))
    own = [word for word in words(tmp_path, tmp_path) if not word.startswith(("dataset=", "dataset.path"))]
    command = ["dataset=npz", f"dataset.path={data}", "dataset.channels=last", *own]
    assert al_run(*command)[0] == WAITS
    assert (run_folder(tmp_path) / "query.html").exists()


@pytest.mark.parametrize("name", ["?", "new:blue"])
def test_a_class_that_an_answer_can_t_name_is_refused(al_run: Command, root: Path, tmp_path: Path, name: str) -> None:
    code, line = al_run(*words(root, tmp_path, f"oracle.classes=[red,'{name}']"))
    assert (code, f"a class is called '{name}', but in query.csv ? means" in line) == (1, True)
    assert not [*tmp_path.rglob("query.csv")]


def test_vectors_can_t_be_shown_to_a_person() -> None:
    data = toy.data_set()
    with pytest.raises(UsageError, match="oracle=person shows images, but the data set holds vectors"):
        Person(replace(data, images=data.images.float()))
