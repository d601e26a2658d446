"""One KFAC-VFE acquisition on USPS-sized images: 4,177 unlabelled in the pool's factor, 240 candidates, one CPU thread.

Against the arithmetic floor, 86 GFLOP at the rate of this machine's float32 matrix product (goal: at most 1.6 times),
and 128 images against 8 (goal: at most 1.1 times). Equal results first: the greedy choice of 8 begins that of 128.
"""

from functools import partial

import torch
from paired import Paired, gemm, paired, start

from al_runner.learners.plain import SingleNet
from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import global_stream, stream
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.types import DataSet

FLOOR = 86e9


def main() -> None:
    repeats = start(__doc__, "A", "B")
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (4185, 1, 16, 16), generator=rng, dtype=torch.uint8)
    ids = torch.arange(4185)
    data = DataSet(images, ids % 10, ids, ids[:1], ids[:1], tuple("0123456789"))
    with global_stream(stream(0, "init")):
        net = net_builder(data, partial(cnn, pool=(False, True), hidden=(300, 50)))()
    fitted = SingleNet(net.to(memory_format=torch.channels_last).eval(), 0)  # type: ignore[call-overload]
    pool = Pool(data)
    pool.buy(ids[:8], data.labels[:8])
    pool.draw_candidates(240, stream(0, "candidates"))

    def select(n: int) -> list[int]:
        return KfacVfe(target="parameters").select(fitted, pool, n, stream(0, "query")).tolist()

    assert select(128)[:8] == select(8)
    product, operations = gemm()
    times = paired(lambda: select(8), product, repeats)
    floor = Paired(times.a, [seconds * FLOOR / operations for seconds in times.b])
    print(floor.line("select 8 (A), floor (B)", "at most 1.6"))
    print(paired(lambda: select(128), lambda: select(8), repeats).line("select 128 (A), select 8 (B)", "at most 1.1"))


if __name__ == "__main__":
    main()
