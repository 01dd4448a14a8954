"""Seed torch's global generators at every step, without what that costs at once a run."""

import torch


def seed_step(seed: int) -> None:
    """Seed the global generators of the CPU and of the devices that this process uses.

    The same numbers as after ``torch.manual_seed``, which also notes the call for each kind of
    device that is not in use, with the stack that led there: a tenth of a millisecond.
    """
    torch.default_generator.manual_seed(seed)
    for device in (torch.cuda, torch.xpu):
        if device.is_initialized():
            device.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
