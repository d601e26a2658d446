"""A filled query.csv: what is taken, and what gets a line."""

import csv
from pathlib import Path

import pytest

from al_runner.errors import UsageError
from al_runner.labelling.answers import Answers, Known, read_answers
from al_runner.labelling.query import Item, table
from al_runner.labelling.rows import Photo
from al_runner.labels import UNSURE

ASKED = {1: Photo("a.png"), 2: Photo("b.png", "3x8x8-aa"), 3: Photo("", "3x8x8-bb"), 10: Photo("d,d.png")}
NO_NAME = (
    "is no class (the classes are: cat, dog); a class is 1 to 100 letters, but not ?, and does not begin with new:"
)
KNOWN = Known(ASKED, ("cat", "dog"), {7: "cat", 8: None})


def answers(folder: Path, text: str | bytes, known: Known = KNOWN) -> Answers:
    path = folder / "query.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_answers(path, known)


def test_labels_are_taken_and_become_places(tmp_path: Path) -> None:
    found = answers(tmp_path, 'id,file,label\n1,a.png,dog\n2,b.png, cat \n3,,?\n10,"d,d.png",\n')
    assert (found.labels, found.troubles) == ({1: "dog", 2: "cat", 3: None}, [])
    assert found.label_numbers() == {1: 1, 2: 0, 3: UNSURE}


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfid;file;label\r\n1;a.png;Dog\r\n",  # Excel's
        b"label\tid\ndog\t1\n",
        b"annotation_id,id,image,image_id,label\n99,2,data:image/png;base64AAAA,1,dog\n",  # Label Studio's
        "id,label,note\n1,dog,caf\u00e9\n".encode("cp1252"),
        "id\tlabel\r\n1\tdog\r\n".encode("utf-16"),  # what Excel calls Unicode text
        b"\xfe\xff" + "id,label\n1,dog\n".encode("utf-16-be"),
        b"id,label,more\n1,dog\n",  # a short row
        b"id, label\n\n1, dog\n",
        b"id,label\r1,dog\r",  # of old Macs
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, text: bytes) -> None:
    found = answers(tmp_path, text)
    assert (found.labels, found.troubles) == ({1: "dog"}, [])


@pytest.mark.parametrize("file", ["a\nb.png", "a\u2028b.png", "a\x85b.png", 'a "b", c;d.png'])
@pytest.mark.parametrize("name", ["cat ", " cat", "c\nat"])
def test_our_own_table_is_read_whatever_files_and_folders_are_called(tmp_path: Path, file: str, name: str) -> None:
    filled = table([Item(1, file, "", label=name)])
    found = answers(tmp_path, filled, Known({1: Photo(file)}, (name, "dog"), {}))
    assert (found.labels, found.troubles) == ({1: name}, [])


def test_a_trouble_with_a_line_break_in_it_is_one_line(tmp_path: Path) -> None:
    (trouble,) = answers(tmp_path, 'id,label\n1,"cat\n2,dog\n').troubles
    assert trouble.endswith("write new:cat 2,dog to add it")
    with pytest.raises(UsageError, match="has the columns id, label 1,cat; it needs id and label"):
        answers(tmp_path, 'id,"label\n1,cat\n')


@pytest.mark.parametrize(
    ("rows", "trouble"),
    [
        ("1,a.png,catt", "image 1: 'catt' is no class (the classes are: cat, dog); write new:catt to add it"),
        ("1,a.png,cat\n1,a.png,dog", "image 1 has several labels (cat, dog); give one"),
        ("1,a.png,cat\n1,a.png,?", "image 1 has several labels (cat, ?); give one"),
        ("5,e.png,cat", "row 2: '5' is not the id of an image that was asked for; the row is ignored"),
        ("-1,e.png,cat", "row 2: '-1' is not the id of an image that was asked for; the row is ignored"),
        ("\u00b2,e.png,cat", "row 2: '\u00b2' is not the id of an image that was asked for; the row is ignored"),
        (",a.png,cat", "row 2: label 'cat' has no id; it is ignored"),
        ("1,b.png,cat", "row 2: image 1 is a.png, not b.png; was one column sorted alone? It is ignored"),
        ("7,,dog", "image 7 was answered before (cat); dog is ignored"),
        ("8,,dog", "image 8 was answered before (can't tell); dog is ignored"),
        ("1,a.png,new:", f"image 1: 'new:' {NO_NAME}"),
        ("1,a.png,new:?", f"image 1: 'new:?' {NO_NAME}"),
        ("1,a.png,new: new:fox", f"image 1: 'new: new:fox' {NO_NAME}"),
    ],
)
def test_what_is_wrong_gets_one_line_and_the_rest_is_taken(tmp_path: Path, rows: str, trouble: str) -> None:
    found = answers(tmp_path, f"id,file,label\n{rows}\n2,b.png,dog\n")
    assert found.troubles == [f"query.csv: {trouble}"]
    assert (found.labels, found.classes) == ({2: "dog"}, ["cat", "dog"])


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        ("2,b.png,dog,3x8x8-aa", True),
        ("2,b.png,dog,", True),
        ("2,b.png,dog,3x4x4-cc", True),  # pixels of another size can't be compared; the name is right
        ("2,b.png,dog,3x8x8-cc", False),
        ("3,,dog,3x8x8-bb", True),
        ("3,,dog,", True),
        ("3,,dog,3x8x8-cc", False),
        ("3,,dog,3x4x4-cc", False),
    ],
)
def test_a_label_that_was_given_for_other_pixels_is_ignored(tmp_path: Path, row: str, taken: bool) -> None:
    found = answers(tmp_path, f"id,file,label,fingerprint\n{row}\n")
    trouble = "query.csv: row 2: image {} has other pixels than the image of this row; is the table of other data? "
    assert list(found.labels.values()) == ["dog"] * taken
    assert found.troubles == [] if taken else [f"{trouble.format(row[0])}It is ignored"]


def test_what_was_answered_before_may_stand_there_again(tmp_path: Path) -> None:
    found = answers(tmp_path, "id,label\n7,cat\n8,?\n7,Cat\n")
    assert (found.labels, found.troubles) == ({}, [])


def test_the_same_label_twice_is_one(tmp_path: Path) -> None:
    assert answers(tmp_path, "id,label\n1,cat\n1,CAT\n").labels == {1: "cat"}


def test_a_class_is_added_where_it_says_so(tmp_path: Path) -> None:
    found = answers(tmp_path, "id,label\n1,new:fox\n2,fox\n3,new: bird\n10,new:Cat\n")
    assert (found.labels, found.troubles) == ({1: "fox", 2: "fox", 3: "bird", 10: "cat"}, [])
    assert found.classes == ["cat", "dog", "bird", "fox"]


def test_a_class_of_refused_images_alone_is_not_added(tmp_path: Path) -> None:
    found = answers(tmp_path, "id,label\n1,new:ant\n1,cat\n2,new:bee\n")
    assert (found.labels, found.classes, found.label_numbers()) == ({2: "bee"}, ["cat", "dog", "bee"], {2: 2})


def test_where_no_class_is_known_every_label_is_one(tmp_path: Path) -> None:
    found = answers(tmp_path, "id,label\n1,dog\n2,cat\n3,?\n10,Dog\n", Known(ASKED, (), {}))
    assert found.classes == ["Dog", "cat"]
    assert found.labels == {1: "Dog", 2: "cat", 3: None, 10: "Dog"}


def test_composed_and_decomposed_letters_are_one_label(tmp_path: Path) -> None:
    known = Known(ASKED, ("caf\u00e9",), {})
    assert answers(tmp_path, "id,label\n1,cafe\u0301\n", known).labels == {1: "caf\u00e9"}


def test_a_class_folder_may_have_its_letters_taken_apart(tmp_path: Path) -> None:
    """As the names of folders often are on macOS."""
    known = Known(ASKED, ("Ka\u0308fer", "Biene"), {7: "Ka\u0308fer"})
    found = answers(tmp_path, "id,label\n1,K\u00e4fer\n2,ka\u0308fer\n10,new:k\u00c4FER\n7,K\u00e4fer\n", known)
    assert (found.labels, found.troubles) == (dict.fromkeys((1, 2, 10), "Ka\u0308fer"), [])
    assert (found.classes, found.label_numbers()) == (["Ka\u0308fer", "Biene"], {1: 0, 2: 0, 10: 0})


def test_label_studio_s_table_of_photos_has_them_as_long_texts(tmp_path: Path) -> None:
    """And its text field for a class that is new; its own ids are not ours."""
    before = csv.field_size_limit()
    photo = f'"data:image/jpeg;base64,{"A" * 1_000_000}"'
    names = "annotation_id,id,image,image_id,label,new_class"
    found = answers(tmp_path, f"{names}\n9,2,{photo},1,dog,\n9,3,{photo},2,,fox\n9,1,{photo},3,?,\n")
    assert (found.labels, found.troubles) == ({1: "dog", 2: "fox", 3: None}, [])
    assert found.classes == ["cat", "dog", "fox"]
    assert csv.field_size_limit() == before


def test_label_studio_s_table_of_new_classes_alone(tmp_path: Path) -> None:
    """It has no column of choices if nobody chose any."""
    found = answers(tmp_path, "id,image_id,new_class\n7,1,fox\n8,2, new:fox \n9,3,\n6,10,?\n", Known(ASKED, (), {}))
    assert (found.labels, found.classes) == ({1: "fox", 2: "fox", 10: None}, ["fox"])
    both = answers(tmp_path, "id,image_id,label,new_class\n7,1,cat,fox\n")
    assert both.troubles == ["query.csv: image 1 has several labels (cat, new:fox); give one"]


def test_many_lines_of_one_kind_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{number},cat\n" for number in range(100, 120))
    found = answers(tmp_path, f"id,label\n{rows}")
    assert len(found.troubles) == 6
    assert found.troubles[-1] == "query.csv: and 15 more such lines"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it needs id and label"),
        ("id,guess\n1,cat\n", "has the columns guess, id; it needs id and label, as in query.csv"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "it needs id and label"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        answers(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv can't be read .*--labels FILE"):
        read_answers(tmp_path / "nowhere.csv", KNOWN)
