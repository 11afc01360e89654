"""A load test with Locust over the two routes of the reference implementation.

    pip install locust
    SCORING_API_KEY=... locust -f examples/locustfile.py --host http://127.0.0.1:8000

Each simulated user asks one of the two routes. A 429 is how the service keeps its answers quick
under overload: it is a failure of its own name, and its user waits as long as `Retry-After` says.
"""

import os
import random
import time
from pathlib import Path

from locust import HttpUser, between, task
from locust.clients import ResponseContextManager
from locust.exception import ResponseError

KEY = os.environ.get("SCORING_API_KEY")
HEADERS = {"Authorization": f"Bearer {KEY}"} if KEY else {}
PICTURE = (Path(__file__).parent / "picture.png").read_bytes()
QUESTIONS = (
    "what is a closure",
    "how do I copy an array",
    "why is my variable undefined inside a callback",
    "difference between let and var",
    "how to wait for several promises",
)


def judge(answer: ResponseContextManager) -> None:
    """Raises ResponseError, which Locust counts, for all but a 200; waits after a refusal."""
    if answer.status_code == 429:
        said = answer.headers.get("Retry-After", "1")
        time.sleep(float(said) if said.isdecimal() else 1.0)  # Locust's: other users go on
        raise ResponseError("429: overloaded, or the quota is used up")
    if answer.status_code != 200:
        raise ResponseError(f"status {answer.status_code}")


class FaqUser(HttpUser):
    """Asks questions."""

    wait_time = between(0.05, 0.2)

    @task
    def score(self) -> None:
        """One question, as clients of the reference implementation send it."""
        question = {"input": random.choice(QUESTIONS)}
        with self.client.post(
            "/faq/score", json=question, headers=HEADERS, catch_response=True
        ) as answer:
            judge(answer)


class ImageUser(HttpUser):
    """Sends pictures."""

    wait_time = between(0.1, 0.5)

    @task
    def score(self) -> None:
        """One picture in a form."""
        files = {"image": ("picture.png", PICTURE, "image/png")}
        with self.client.post(
            "/image/score", files=files, headers=HEADERS, catch_response=True
        ) as answer:
            judge(answer)
