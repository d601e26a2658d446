"""How many GPUs a sweep uses."""


def gpus_in_turn(device: str) -> int:
    """How many GPUs the runs of a sweep take in turn: all of them, or 0 if `device` is a CPU or one certain GPU."""
    import torch  # noqa: PLC0415 - takes two seconds, which al-run --help need not wait for

    return torch.cuda.device_count() if device in ("auto", "cuda") else 0
