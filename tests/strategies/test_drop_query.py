"""DropQuery against every mask drawn one by one."""

import pytest
import torch
from torch import nn

from al_runner.pool import Pool
from al_runner.rng import stream
from al_runner.strategies.drop_query import DropQuery, changes, unstable
from al_runner.types import DataSet


def test_changes_are_counted_over_the_masks():
    torch.manual_seed(0)
    head, x = nn.Linear(5, 3), torch.randn(30, 5)
    found = changes(x, head, 4, 0.6, stream(0, "query"))
    rng, expected = stream(0, "query"), torch.zeros(30, dtype=torch.int64)
    for _ in range(4):
        kept = torch.rand(30, 5, generator=rng)
        for row in range(30):
            dropped = torch.where(kept[row] >= 0.6, x[row] / 0.4, torch.zeros(5))
            expected[row] += int(head(dropped).argmax() != head(x[row]).argmax())
    assert found.tolist() == expected.tolist()
    assert 0 < found.float().mean() < 4
    assert changes(x, head, 4, 0.0, stream(0, "query")).sum() == 0


def test_most_masks_must_change_a_prediction_as_long_as_enough_are_left():
    changed = torch.tensor([0, 1, 2, 3, 2, 0])
    assert unstable(changed, 3, 3).tolist() == [2, 3, 4]
    assert unstable(changed, 3, 4).tolist() == [1, 2, 3, 4]
    assert unstable(changed, 3, 100).tolist() == [1, 2, 3, 4]


class Net(nn.Module):
    """Only rows whose first feature is small change their class under dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.head = nn.Flatten(), nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))

    def forward(self, x):
        return self.head(self.flat(x))


class Fit:
    steps = 0

    def __init__(self) -> None:
        self.net = Net().eval()

    def features(self, x):
        return x.flatten(1)

    def network(self):
        return self.net


@pytest.mark.parametrize("n", [4, 25])
def test_stable_predictions_are_bought_only_where_others_do_not_suffice(n):
    """Rows [5, 0] are of class 0 whatever is dropped: a tie of 0 and 0 falls to class 0. Rows [0, 5] are not."""
    x = torch.zeros(60, 2, 1, 1)
    x[:40, 0], x[40:, 1] = 5, 5
    ids = torch.arange(60)
    pool = Pool(DataSet(x, ids % 2, ids, ids[:0], ids[:0], ("a", "b")))
    chosen = DropQuery(masks=9).select(Fit(), pool, n, stream(0, "query"))
    assert len(set(chosen.tolist())) == n
    assert int((chosen >= 40).sum()) == min(n, 20)
