"""LitServe's published ResNet-152 example in our own words: Pillow, the weights' own transforms,
eager float32; base64 in JSON comes in, a class goes out. With and without batches of its own.
"""

import argparse
import base64
import io
import os

import litserve as ls
import torch
from PIL import Image
from torchvision import models


class ResNetApi(ls.LitAPI):  # type: ignore[misc]
    """Decodes where it predicts, as the example does."""

    def setup(self, device: str) -> None:
        state = torch.load(os.environ["BENCHMARK_WEIGHTS"], weights_only=True)
        architecture = os.environ["BENCHMARK_ARCHITECTURE"]
        self.model = models.get_model(architecture, weights=None)
        self.model.load_state_dict(state)
        self.model.eval().to(device)
        self.transforms = next(iter(models.get_model_weights(architecture))).transforms()

    def decode_request(self, request):  # type: ignore[no-untyped-def] # an annotation is a schema
        picture = Image.open(io.BytesIO(base64.b64decode(request["image_data"])))
        return self.transforms(picture.convert("RGB"))

    def predict(self, pictures: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            one = pictures.ndim == 3
            scores: torch.Tensor = self.model(pictures[None] if one else pictures)
            return scores[0].argmax() if one else scores.argmax(1)

    def encode_response(self, output: torch.Tensor) -> dict[str, int]:
        return {"output": int(output)}


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, default=1)
    given = parser.parse_args()
    api = ResNetApi(max_batch_size=given.batch, batch_timeout=0.05 if given.batch > 1 else 0.0)
    server = ls.LitServer(api, accelerator="cpu", timeout=120)
    server.run(
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
