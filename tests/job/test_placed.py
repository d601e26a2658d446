"""Data sets on a device: shared while they are used, and freed afterwards."""

import gc
from dataclasses import replace
from weakref import ref

import pytest
import torch
import toy
from standin import StandIn

from al_runner.job.placed import forget, placed
from al_runner.models.inputs import known_statistics

FIRST, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
def test_a_copy_is_shared_while_it_is_used_and_freed_once_another_data_set_has_its_turn() -> None:
    one, other = toy.data_set(), toy.data_set()
    with StandIn(2):
        copy = placed(one, FIRST)
        assert copy.images.is_cuda and torch.equal(copy.images.cpu(), one.images)
        placed(other, FIRST)
        assert placed(one, FIRST) is copy  # a job of lock-step still uses it
        assert placed(one, torch.device("cuda", 1)) is not copy
        known_statistics(copy)
        gone, pixels = ref(copy), ref(copy.images)
        placed(other, FIRST)
        del copy
        gc.collect()
        assert gone() is None and pixels() is None
        forget()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")
def test_the_newest_copy_stays_for_the_next_job() -> None:
    data = toy.data_set()
    with StandIn():
        gone = ref(placed(data, FIRST))
        gc.collect()
        assert gone() is not None and placed(data, FIRST) is gone()
        forget()
        gc.collect()
        assert gone() is None


def test_on_the_cpu_there_is_no_copy() -> None:
    data = toy.data_set()
    assert placed(data, CPU) is data
    forget()


def test_statistics_are_computed_once_and_hold_no_data_set() -> None:
    data = replace(toy.data_set())
    assert known_statistics(data)[0] is known_statistics(data)[0]
    gone = ref(data)
    del data
    gc.collect()
    assert gone() is None
