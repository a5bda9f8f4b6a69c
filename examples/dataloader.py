"""Train a small classifier on scikit-learn's digits and patches of its two photographs, and log from everywhere.

The workers of the DataLoader log each sample that they prepare, its label, and how long decoding and augmentation took; the trainer
logs loss, accuracy for each class and the confusion matrix. No worker is told where to log to.

    python examples/dataloader.py --out digits.rrd --start-method spawn
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

import shmrerun as rr

CLASSES = 11  # ten digits, and patches of photographs
SIZE = 8


class Samples(Dataset):
    """Digits and photograph patches, 8 by 8 pixels, augmented anew at each access."""

    def __init__(self, count: int, seed: int = 0) -> None:
        from sklearn.datasets import load_digits, load_sample_images

        digits = load_digits()
        self.photos = [photo.mean(axis=2) / 255 for photo in load_sample_images().images]
        self.images = (digits.images / 16).astype(np.float32)
        self.labels = digits.target
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        began = time.perf_counter()
        random = np.random.default_rng((self.seed, index))
        if random.random() < 0.1:
            image, label = self.patch(random), CLASSES - 1
        else:
            at = random.integers(len(self.images))
            image, label = self.images[at], int(self.labels[at])
        image = np.roll(image, random.integers(-1, 2, size=2), axis=(0, 1)) + random.normal(0, 0.05, image.shape)
        image = image.clip(0, 1).astype(np.float32)
        self.log(index, image, label, time.perf_counter() - began)
        return torch.from_numpy(image).flatten(), label

    def patch(self, random: np.random.Generator) -> np.ndarray:
        """A random patch of one of the photographs, shrunk to the size of a digit."""
        photo = self.photos[random.integers(len(self.photos))]
        edge = SIZE * int(random.integers(1, 20))
        y, x = random.integers(0, photo.shape[0] - edge), random.integers(0, photo.shape[1] - edge)
        return photo[y : y + edge, x : x + edge].reshape(SIZE, edge // SIZE, SIZE, edge // SIZE).mean(axis=(1, 3))

    @staticmethod
    def log(index: int, image: np.ndarray, label: int, seconds: float) -> None:
        """Log one sample: the same three calls whether this runs in a worker or in the trainer."""
        info = get_worker_info()
        worker = info.id if info is not None else "trainer"
        rr.set_time("sample", sequence=index)
        rr.log("samples/image", rr.Image((image * 255).astype(np.uint8)))
        rr.log("samples/label", rr.TextLog(f"sample {index} is {name_of(label)}", level="DEBUG"))
        rr.log(f"workers/{worker}/augmentation", rr.Scalars(seconds))


def name_of(label: int) -> str:
    """What a class is called."""
    return "a photograph" if label == CLASSES - 1 else str(label)


def train(loader: DataLoader, epochs: int, most_batches: int | None) -> None:
    """Train and log; leave the epoch early after ``most_batches``, as programs do."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(SIZE * SIZE, 64), torch.nn.ReLU(), torch.nn.Linear(64, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    step = 0
    for epoch in range(epochs):
        confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
        for batch, (images, labels) in enumerate(loader):
            if batch == most_batches:
                break
            scores = model(images)
            loss = torch.nn.functional.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            np.add.at(confusion, (labels.numpy(), scores.argmax(dim=1).numpy()), 1)
            rr.set_time("step", sequence=step)
            rr.log("train/loss", rr.Scalars(loss.item()))
            step += 1
        rr.set_time("epoch", sequence=epoch)
        shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
        rr.log("train/confusion", rr.Image((shares * 255).astype(np.uint8)))
        rr.log("train/accuracy", rr.BarChart(np.diag(shares)))


def main() -> None:
    """Read the command line, train, finish the recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="digits.rrd")
    parser.add_argument("--start-method", choices=("fork", "spawn", "forkserver"), default=None)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--persistent", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--batches", type=int, default=None, help="leave each epoch after so many batches")
    options = parser.parse_args()

    rr.init("digits")
    rr.save(options.out)
    loader = DataLoader(
        Samples(options.samples),
        batch_size=32,
        num_workers=options.workers,
        persistent_workers=options.persistent and options.workers > 0,
        multiprocessing_context=options.start_method if options.workers else None,
    )
    train(loader, options.epochs, options.batches)
    print(f"wrote {options.out}: {os.getpid()} and {options.workers} workers logged into it")


if __name__ == "__main__":
    main()
