"""The stand-in for GPUs (tests/support/standin.py): what a GPU refuses is refused, and a graph behaves as one."""

import copy

import pytest
import torch
from standin import StandIn
from torch import nn
from torch.func import functional_call, vmap

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="the stand-in is for machines without a GPU")


def refused(work) -> bool:
    try:
        work()
    except (RuntimeError, TypeError):
        return True
    return False


def test_devices() -> None:
    with StandIn(2):
        x, y = torch.ones(3, device="cuda"), torch.ones(3)
        assert x.is_cuda and x.device == torch.device("cuda", 0) and y.device.type == "cpu"
        assert (x + 1).is_cuda and x[1:].is_cuda and not x.cpu().is_cuda and x.cpu().to("cuda:1").device.index == 1
        assert refused(lambda: x + y) and refused(lambda: x + y.to("cuda:1")) and refused(x.numpy)
        assert not refused(lambda: x + torch.tensor(2.0)) and not refused(lambda: x[torch.tensor([0])])
        assert refused(lambda: y[torch.tensor([0], device="cuda")])
        assert refused(lambda: torch.rand(3, generator=torch.Generator(), device="cuda"))
        assert refused(lambda: torch.cat([x, y])) and refused(lambda: x.index_select(0, torch.tensor([0])))
        assert torch.nn.functional.one_hot(torch.tensor([1, 0], device="cuda")).is_cuda
        assert refused(
            lambda: (
                torch.ones(2, 2, device="cuda", dtype=torch.int64) @ torch.ones(2, 2, dtype=torch.int64, device="cuda")
            )
        )


def test_nets_train() -> None:
    with StandIn() as gpu:
        net = copy.deepcopy(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3)).to("cuda")
        )
        assert all(value.is_cuda for value in net.state_dict().values())
        x, y = torch.randn(4, 1, 6, 6).cuda(), torch.tensor([0, 1, 2, 0]).cuda()
        optimizer = torch.optim.Adam(net.parameters(), capturable=True)
        for _ in range(3):
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
        assert next(net.parameters()).grad.is_cuda
        before = sum(gpu.waits.values())
        float(loss)
        assert sum(gpu.waits.values()) == before + 1


def test_vmap() -> None:
    with StandIn():
        net = nn.Linear(4, 2).cuda()
        stacked = {name: torch.stack([p.detach(), p.detach()]).requires_grad_() for name, p in net.named_parameters()}
        seen = []

        def forward(w, x):
            seen.append(x.device.type)
            return functional_call(net, w, (x,)).sum() + torch.arange(2, device=x.device).sum()

        vmap(forward)(stacked, torch.randn(2, 5, 4, device="cuda")).sum().backward()
        assert seen == ["cuda"] and stacked["weight"].grad.is_cuda


def test_inference_mode() -> None:
    with StandIn(2), torch.inference_mode():
        x = torch.ones(3)
        assert x.to("cuda:1").device.index == 1
        assert x.to("cuda:1", torch.float64).dtype == torch.float64
        assert refused(lambda: x + x.cuda())


def test_graphs() -> None:
    with StandIn() as gpu:
        x, side, pool = torch.zeros(1, device="cuda"), torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        steps = [1.0]

        def captured(work):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.stream(side):
                graph.capture_begin(pool=pool)
                try:
                    work()
                finally:
                    graph.capture_end()
            return graph

        graph = captured(lambda: x.add_(x + steps[0]))
        assert float(x) == 0  # recorded, not done
        steps[0] = 5.0  # baked in
        graph.replay(), graph.replay()
        assert float(x) == 3
        assert refused(lambda: captured(x.item)) and refused(lambda: captured(lambda: x.copy_(torch.ones(1))))
        assert not refused(lambda: captured(lambda: x.add_(1)))
        del graph
        assert refused(lambda: captured(lambda: x.add_(1)))  # the pool went with its last graph
        assert any("gone" in note for note in gpu.notes)
