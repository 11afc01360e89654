"""A Keras model behind the same routes: what plain Keras says is what the service answers."""

import io
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serve_app.http.schemas import ClassifyResponse, Readiness
from tests.application.service import scoring, serving

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="the extra keras is not installed"),
]

PORT = 8126
ARCHITECTURE = "MobileNetV2"
PICTURES = 6
PROGRAM = """
import json, sys
from pathlib import Path
from PIL import Image
import numpy as np
from tests.deployments.image.keras.test_engine import plain_logits, seeded
architecture, folder = sys.argv[1], Path(sys.argv[2])
network = seeded(architecture)
network.save_weights(folder / "seeded.weights.h5")
opened = [Image.open(file) for file in sorted(folder.glob("*.png"))]
pixels = [np.asarray(image.resize((224, 224), Image.Resampling.NEAREST)) for image in opened]
print(json.dumps([int(best) for best in plain_logits(network, architecture, pixels).argmax(1)]))
"""


def photograph(seed: int) -> bytes:
    """Coarse coloured noise, larger than what the model takes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((320, 280), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_service_answers_what_plain_keras_says(data_dir: Path, tmp_path: Path) -> None:
    files = [photograph(seed) for seed in range(PICTURES)]
    for number, file in enumerate(files):
        (tmp_path / f"{number}.png").write_bytes(file)
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, ARCHITECTURE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    expected = json.loads(made.stdout.splitlines()[-1])
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        "image.framework=keras",
        f"image.architecture={ARCHITECTURE}",
        f"image.weights={tmp_path / 'seeded.weights.h5'}",
        "image.precision=float32",
        "http.deadline_s=120",
    )
    with serving(command, port=PORT, folder=tmp_path) as service, service.client() as client:
        ready = Readiness.model_validate_json(client.get("/readyz").content)
        answers = [
            client.post("/v1/images/classify", content=file, headers={"content-type": "image/png"})
            for file in files
        ]
    image = next(model for model in ready.models if model.name.startswith("keras-"))
    assert image.engine is not None
    assert (image.engine.execution, image.engine.precision) == ("compiled", "float32")
    best = [
        ClassifyResponse.model_validate_json(answer.content).predictions[0] for answer in answers
    ]
    assert [prediction.class_index for prediction in best] == expected
    assert best[0].label == f"class {expected[0]}"
