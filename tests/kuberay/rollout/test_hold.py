"""The hold, on a real Ray Serve: it stays on its way, and goes when it is taken away."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

PROGRAM = '''
import sys, time, urllib.request
import ray
from ray import serve
from ray.serve._private.api import serve_start
from ray.serve.schema import ServeDeploySchema
from kuberay.rollout.holding import HOLD, parsed, with_hold, without_hold

CONFIG = """
applications:
- name: scoring
  import_path: tests.kuberay.rollout.toy:app
  route_prefix: /
"""
port = int(sys.argv[1])
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
client = serve.context._get_global_client()

def deploy(text):
    client.deploy_apps(ServeDeploySchema.model_validate(parsed(text)))

def until(check, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        found = {name: str(app.status.value) for name, app in serve.status().applications.items()}
        if check(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)

deploy(with_hold(CONFIG))
until(lambda found: found.get("scoring") == "RUNNING")
end = time.monotonic() + 5
while time.monotonic() < end:
    found = until(lambda found: True)
    assert found == {"scoring": "RUNNING", HOLD: "DEPLOYING"}, found
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert answer.read() == b"toy"
print("held", flush=True)
begun = time.monotonic()
deploy(without_hold(with_hold(CONFIG)))
until(lambda found: found == {"scoring": "RUNNING"})
with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
    assert answer.read() == b"toy"
print(f"released in {time.monotonic() - begun:.1f} s", flush=True)
serve.shutdown()
ray.shutdown()
'''


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_the_hold_keeps_deploying_beside_what_runs_until_it_is_taken_away(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(free_port())],
        cwd=ROOT,
        env={**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.startswith("held\nreleased in ")
