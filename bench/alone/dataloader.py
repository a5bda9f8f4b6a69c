"""What logging each sample costs an epoch of a DataLoader: workers prepare 224x224x3 images, 5 ms of work each, with and without ``log``.

The work is a number of steps, measured at the start, not a time to wait for: whoever takes the workers' processor away is seen.

``python bench/alone/dataloader.py`` prints one JSON object: seconds of each epoch, and the median ratio of an epoch with logging to the one
without that ran beside it, the order reversed in every other round.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

import shmrerun as rr

SAMPLES, WORKERS, ROUNDS, PREPARE_SECONDS = 600, 2, 11, 0.005


class Samples(Dataset):
    """Images that take a while to prepare, as decoding and augmentation do."""

    def __init__(self, *, logged: bool, steps: int) -> None:
        self.logged = logged
        self.steps = steps
        self.image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> Any:
        image = self.image
        for _ in range(self.steps):
            image = np.roll(self.image, index, axis=0)
        if self.logged:
            rr.set_time("sample", sequence=index)
            rr.log("sample", rr.Image(image))
        return image


def steps_of(seconds: float) -> int:
    """Return the number of steps that take so long on an idle processor."""
    image, taken = np.zeros((224, 224, 3), np.uint8), []
    for index in range(500):
        began = time.perf_counter()
        np.roll(image, index % 224, axis=0)
        taken.append(time.perf_counter() - began)
    return max(1, round(seconds / float(np.percentile(taken, 10))))


def epoch(loader: Any) -> float:
    """Seconds of one epoch."""
    began = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - began


def main() -> int:
    """Interleave epochs with and without logging; workers persist, so their start is not in it."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        rr.init("shmrerun_bench")
        rr.save(f"{directory}/dataloader.rrd")
        steps = steps_of(PREPARE_SECONDS)
        loaders = {
            logged: DataLoader(Samples(logged=logged, steps=steps), batch_size=8, num_workers=WORKERS, persistent_workers=True)
            for logged in (False, True)
        }
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for round_number in range(ROUNDS + 1):
            for logged in sorted(loaders, reverse=round_number % 2 == 0):
                took = epoch(loaders[logged])
                if round_number:  # the first warms up
                    seconds[logged].append(took)
        rr.disconnect()
    ratios = [logged / plain for plain, logged in zip(seconds[False], seconds[True], strict=True)]
    print(
        json.dumps(
            {
                "name": "dataloader",
                "samples": SAMPLES,
                "workers": WORKERS,
                "prepare_secs": PREPARE_SECONDS,
                "plain_secs": seconds[False],
                "logged_secs": seconds[True],
                "ratio": {"median": statistics.median(ratios), "spread": [min(ratios), max(ratios)]},
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
