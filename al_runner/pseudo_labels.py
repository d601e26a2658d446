"""Pseudo-labels: predictions that a net is sure of, which may stand for labels in training.

N images, K posterior samples, Y classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from al_runner.system.chunks import at_once
from al_runner.types import Fitted, Images, mean_log_probs

CHUNK = 4096  # images read at once; fewer if they are large


def pseudo_labels(labeller: Fitted, images: Images, is_sure: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The images of which `labeller` is sure, [n, C, H, W] of the images' type, and their predicted classes, int64 [n].

    `is_sure` gets the log probabilities of some images, [m, K, Y], and says of which the prediction counts, bool [m].
    n may be 0. Only the images that are kept are held in memory.
    """
    none = images[:0]
    x, y = [none], [torch.zeros(0, dtype=torch.int64, device=none.device)]
    rows = at_once(CHUNK, images[:1].numel())
    for start in range(0, len(images), rows):
        part = images[start : start + rows]
        log_probs = labeller.log_probs(part)
        sure = is_sure(log_probs)
        x.append(part[sure])
        y.append(mean_log_probs(log_probs)[sure].argmax(1))
    return torch.cat(x), torch.cat(y)
