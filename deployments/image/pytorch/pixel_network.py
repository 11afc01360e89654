"""A stored torchvision model as one module: from the pixels of pictures to logits."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from deployments.image.config import WEIGHTS_FILE, ImageModelConfig, WeightsError
from deployments.image.decoding import Preprocessing
from deployments.image.pytorch.fusion import fold_batch_norm
from deployments.image.pytorch.networks import build, fill

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class PixelNetwork(nn.Module):
    """Normalises uint8 pixels (n, h, w, 3) on the device, and gives float32 logits (n, classes)."""

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, precision: str, device: torch.device
    ) -> None:
        """Takes `network` over: moves it to the device, in that precision and channels last."""
        super().__init__()
        self._dtype = DTYPES[precision]
        with torch.inference_mode():
            self.network = network.to(device, self._dtype).to(memory_format=torch.channels_last)
            self._mean = 255 * torch.tensor(preprocessing.mean, device=device)
            self._std = 255 * torch.tensor(preprocessing.std, device=device)

    def forward(self, pixels: Tensor) -> Tensor:
        normalised = (pixels.float() - self._mean) / self._std
        # A permuted (batch, height, width, channels) tensor is one in channels-last format.
        logits: Tensor = self.network(normalised.to(self._dtype).permute(0, 3, 1, 2))
        return logits.float()


def load_network(folder: Path, config: ImageModelConfig) -> nn.Module:
    """The stored network on the CPU in float32, batch norm folded, in eval mode.

    The weights are mapped into memory, not read.

    Raises:
        WeightsError: the files are missing, damaged or do not belong together
    """
    path = folder / WEIGHTS_FILE
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not readable: {error}") from error
    with torch.inference_mode():
        network = build(config.architecture, len(config.labels), config.preprocessing)
        fill(network, state)
        return fold_batch_norm(network.float())
