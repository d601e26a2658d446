"""Declared options: what is accepted, and the one line for what is not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Gt, Le, Lt
from omegaconf import OmegaConf
from pydantic import InstanceOf

from al_runner.errors import UsageError
from al_runner.settings.declare import declared, meaning, options
from al_runner.settings.kinds import AtLeastOne, Count, Few, Means, NotNegative, ProperShare
from al_runner.settings.wording import wanted


@options("part")
@dataclass(frozen=True)
class Part:
    """A class with every kind of option."""

    other: Any = None
    count: Annotated[Count, Means("a count")] = 1
    few: Annotated[Few | None, Means("a few")] = None
    rate: Annotated[NotNegative, Means("a rate")] = 0.5
    share: Annotated[ProperShare | None, Means("a share")] = None
    within: Annotated[Annotated[float, Gt(-1), Lt(1)] | Literal["free"], Means("a range")] = 0.0
    most: Annotated[Annotated[float, Gt(0), Le(1)], Means("a range")] = 1.0
    whether: Annotated[bool, Means("a switch")] = False
    choice: Annotated[Literal["one", "two", "three"], Means("a choice")] = "one"
    text: Annotated[str | None, Means("a text")] = None
    sizes: Annotated[Sequence[Count], Means("a list")] = ()
    blocks: Annotated[AtLeastOne[Sequence[Count]], Means("lists")] = ((1,),)
    how: Annotated[Callable[[int], int] | None, Means("a function")] = None
    more: Annotated[Mapping[str, Any], Means("anything")] = OmegaConf.create({})
    part: Annotated[InstanceOf["Part"] | None, Means("another one")] = None


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"count": 0}, "part.count is 0; it must be 1 or more"),
        ({"count": 10**20}, f"part.count is {10**20}; it must be 1 or more and at most 1,000,000,000"),
        ({"count": 2.5}, "part.count is 2.5; it must be a whole number, 1 or more"),
        ({"count": 2.0}, "part.count is 2.0; it must be a whole number, 1 or more"),
        ({"count": True}, "part.count is true; it must be a whole number, 1 or more"),
        ({"count": None}, "part.count is null; it must be a whole number, 1 or more"),
        ({"few": 10**11}, f"part.few is {10**11}; it must be 1 or more and at most 10,000, or null"),
        ({"few": "no"}, "part.few is 'no'; it must be a whole number, 1 or more and at most 10,000, or null"),
        ({"rate": -1}, "part.rate is -1; it must be 0 or more"),
        ({"rate": float("inf")}, "part.rate is inf; it must be a finite number, 0 or more"),
        ({"rate": float("nan")}, "part.rate is nan; it must be a finite number, 0 or more"),
        ({"rate": "1"}, "part.rate is '1'; it must be a number, 0 or more"),
        ({"rate": False}, "part.rate is false; it must be a number, 0 or more"),
        ({"share": 1}, "part.share is 1; it must be above 0 and below 1, or null"),
        ({"within": -1}, "part.within is -1; it must be above -1 and below 1, or free"),
        ({"most": 30}, "part.most is 30; it must be above 0 and at most 1"),
        ({"whether": "off"}, "part.whether is 'off'; it must be true or false"),
        ({"whether": 1}, "part.whether is 1; it must be true or false"),
        ({"choice": "four"}, "part.choice is 'four'; it must be one, two, or three"),
        ({"text": 5}, "part.text is 5; it must be text or null"),
        ({"sizes": 16}, "part.sizes is 16; it must be a list, each a whole number, 1 or more"),
        ({"sizes": [3, 0]}, "part.sizes is [3, 0]; it must be a list, each a whole number, 1 or more"),
        ({"sizes": "34"}, "part.sizes is '34'; it must be a list, each a whole number, 1 or more"),
        ({"blocks": []}, "part.blocks is []; it must be a list of one or more, each a list, each a whole number"),
        ({"how": 3}, "part.how is 3; it must be a part with a _target_ or null"),
        ({"part": 3}, "part.part is 3; it must be a part with a _target_ or null"),
    ],
    ids=str,
)
def test_a_wrong_value_is_one_line(values: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        Part(**values)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_what_is_right_is_taken_in_its_own_type() -> None:
    part = Part(count=10**9, rate=1, within="free", sizes=OmegaConf.create([3, 4]), blocks=OmegaConf.create([[1], [2]]))
    assert (part.count, part.rate, part.within) == (10**9, 1.0, "free")
    assert isinstance(part.rate, float)
    assert type(part.sizes) is list
    assert part.blocks == [[1], [2]]
    assert replace(part, how=abs, part=part).part is part
    assert Part(object(), 3).count == 3
    with pytest.raises(UsageError, match=r"part\.count is 0"):
        replace(part, count=0)


def test_a_number_of_numpy_is_taken_as_python_s() -> None:
    given: dict[str, Any] = {"count": np.int64(3), "rate": np.float32(0.5), "sizes": [np.uint8(4)]}
    part = Part(**given)
    assert [type(value) for value in (part.count, part.rate, part.sizes[0])] == [int, float, int]
    assert (part.count, part.rate, part.sizes) == (3, 0.5, [4])
    with pytest.raises(UsageError, match=r"part\.count is 2\.0; it must be a whole number"):
        Part(**given | {"count": np.float64(2)})


def test_a_function_is_checked_too_and_keeps_its_errors() -> None:
    @options("group")
    def scaled(by: Annotated[Count, Means("a factor")], to: int = 2) -> int:
        return by * to

    assert scaled(3) == 6
    assert scaled(by=3, to=-1) == -3
    with pytest.raises(UsageError, match=r"group\.by is 0; it must be 1 or more"):
        scaled(0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'of'"):
        scaled(3, of=4)  # type: ignore[call-arg]  # what is tested
    assert {name: meaning(kind) for name, kind in declared(scaled).items()} == {"by": "a factor"}


def test_a_subclass_has_the_options_of_its_base() -> None:
    @options("part")
    @dataclass(frozen=True)
    class Wider(Part):
        width: Annotated[Count, Means("a width")] = 1

    assert {*declared(Wider)} == {*declared(Part), "width"}
    for wrong in ({"width": 0}, {"count": 0}):
        with pytest.raises(UsageError, match="is 0; it must be 1 or more"):
            Wider(**wrong)  # type: ignore[arg-type]  # of either field


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Count, "a whole number, 1 or more"),
        (Few | None, "a whole number, 1 or more and at most 10,000, or null"),
        (float | None, "a number or null"),
        (bool, "true or false"),
        (Literal["a", "b"], "a or b"),
        (Literal["a", "b"] | None, "a or b, or null"),
        (Annotated[tuple[Count, Count], Means("two")], "a list of 2, each a whole number, 1 or more"),
        (Mapping[str, Any], "a mapping"),
    ],
    ids=str,
)
def test_a_kind_in_words(annotation: Any, text: str) -> None:
    assert wanted(annotation) == text
