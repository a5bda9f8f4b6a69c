"""What logging each sample costs an epoch of a DataLoader: workers prepare 224x224x3 images for 5 ms each, with and without ``log``.

``python bench/dataloader.py`` prints one JSON object: seconds of each epoch, and the ratio of the medians.
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

SAMPLES, WORKERS, ROUNDS, PREPARE_SECONDS = 600, 2, 5, 0.005


class Samples(Dataset):
    """Images that take a while to prepare, as decoding and augmentation do."""

    def __init__(self, *, logged: bool) -> None:
        self.logged = logged
        self.image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> Any:
        until = time.perf_counter() + PREPARE_SECONDS
        image = self.image
        while time.perf_counter() < until:
            image = np.roll(self.image, index, axis=0)
        if self.logged:
            rr.set_time("sample", sequence=index)
            rr.log("sample", rr.Image(image))
        return image


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
        loaders = {
            logged: DataLoader(Samples(logged=logged), batch_size=8, num_workers=WORKERS, persistent_workers=True)
            for logged in (False, True)
        }
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for round_number in range(ROUNDS + 1):
            for logged, loader in loaders.items():
                took = epoch(loader)
                if round_number:  # the first warms up
                    seconds[logged].append(took)
        rr.disconnect()
    medians = {logged: statistics.median(found) for logged, found in seconds.items()}
    print(
        json.dumps(
            {
                "name": "dataloader",
                "samples": SAMPLES,
                "workers": WORKERS,
                "prepare_secs": PREPARE_SECONDS,
                "plain_secs": seconds[False],
                "logged_secs": seconds[True],
                "ratio": medians[True] / medians[False],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
