"""Train the feature extractors of the distance metrics: classifiers of the embedded data.

    python scripts/train_extractor.py digits|fashion [EPOCHS]

Writes src/ptheta/extractors/weights/NAME.safetensors (float16), with the test accuracy on grey and
on
binarised images in its metadata.
"""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from ptheta.data import open_data
from ptheta.data.dataset import Dataset
from ptheta.extractors.classifiers import WEIGHTS, Classifier
from ptheta.specs import to_unit

BATCH, LR, SHIFT = 100, 2e-3, 2


def augment(x: torch.Tensor) -> torch.Tensor:
    """Shift images (B, 1, 28, 28) by up to two pixels and binarise every second one."""
    n = len(x)
    padded = F.pad(x, (SHIFT,) * 4)
    y, z = torch.randint(0, 2 * SHIFT + 1, (2, n))
    shifted = torch.stack([padded[i, :, y[i] : y[i] + 28, z[i] : z[i] + 28] for i in range(n)])
    binary = (torch.rand_like(shifted) < shifted).float()
    return torch.where((torch.rand(n) < 0.5).view(-1, 1, 1, 1), binary, shifted)


@torch.no_grad()
def accuracy(network: Classifier, data: Dataset) -> float:
    batch = data.batch(slice(None))
    _, logits = network(to_unit(batch.x))
    right = logits.argmax(1).eq(batch.extra["labels"])
    return float(right.float().mean())


def main(name: str, epochs: int) -> None:
    torch.manual_seed(0)
    train, test = open_data(name, "train"), open_data(name, "test")
    network = Classifier()
    optimizer = torch.optim.AdamW(network.parameters(), LR, weight_decay=1e-2)
    steps = epochs * (len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    for epoch in range(epochs):
        network.train()
        for indices in torch.randperm(len(train)).split(BATCH):
            batch = train.batch(indices.numpy())
            _, logits = network(augment(to_unit(batch.x)))
            loss = F.cross_entropy(logits, batch.extra["labels"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        print(f"epoch {epoch + 1}: test accuracy {accuracy(network, test):.4f}", flush=True)
    half = {key: value.half() for key, value in network.state_dict().items()}
    network.load_state_dict({key: value.float() for key, value in half.items()})
    about = {
        "data": name,
        "epochs": str(epochs),
        "test_accuracy": f"{accuracy(network, test):.4f}",
        "test_accuracy_binarised": f"{accuracy(network, test.with_levels(2)):.4f}",
    }
    save_file(half, WEIGHTS / f"{name}.safetensors", about)
    print(about)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 30)
