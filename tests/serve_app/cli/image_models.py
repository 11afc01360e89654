"""A registered image model with seeded weights, for commands that need one."""

from pathlib import Path

import torch
from torchvision import models

from serve_app.cli import main

ARCHITECTURE = "shufflenet_v2_x0_5"


def save_weights(path: Path, classes: int = 1000) -> Path:
    """A state dict of the architecture, always the same one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = models.get_model(ARCHITECTURE, weights=None, num_classes=classes)
    torch.save(network.state_dict(), path)
    return path


def register(data: Path, *arguments: str) -> int:
    return main(
        ["image", "register", "--architecture", ARCHITECTURE, *arguments, f"data_dir={data}"]
    )
