"""EMOC's output changes: from inner products of gradients, layer by layer (B), against forward-mode products (A).

200 candidates and 100 images, as many classes as the net's data set; both must agree to 1e-5. Against the arithmetic
floor, the operations of ours at the rate of a large matrix product.
"""

from functools import partial

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from paired import Paired, gemm, paired, start
from torch.utils.flop_counter import FlopCounterMode

from al_runner.strategies.emoc import changes_by_layers, changes_in_forward_mode, layers_of_all_weights

NETS = {"usps_cnn": ((1, 16, 16), 10), "cifar10_quick": ((3, 32, 32), 20)}
CANDIDATES, IMAGES = 200, 100


def main() -> None:
    repeats = start(__doc__, "forward", "ours")
    for name, (shape, classes) in NETS.items():
        torch.manual_seed(0)
        net = instantiate(OmegaConf.load(f"conf/model/{name}.yaml"))(shape, classes).eval()
        x, over = torch.rand(CANDIDATES, *shape), torch.rand(IMAGES, *shape)
        arguments = (net, x, torch.arange(CANDIDATES) % classes, over, "logits")
        ours = partial(changes_by_layers, *arguments, layers_of_all_weights(net, x[:1]))
        forward = partial(changes_in_forward_mode, *arguments)
        if not torch.allclose(ours(), forward(), rtol=1e-5):
            raise SystemExit("the changes differ")
        print(paired(forward, ours, repeats).line(name, "none set"))
        with FlopCounterMode(display=False) as counter:
            ours()
        product, operations = gemm()
        times = paired(ours, product, repeats)
        floor = Paired(times.a, [seconds * counter.get_total_flops() / operations for seconds in times.b])
        print(floor.line("    ours (A), floor (B)", "none set"))


if __name__ == "__main__":
    main()
