"""A load test with Locust over the two routes of the reference implementation.

    pip install locust
    SCORING_API_KEY=... locust -f examples/locustfile.py --host http://127.0.0.1:8000

Each simulated user asks one of the two routes. A 429 is how the service keeps its answers quick under overload:
it counts as a failure of its own name, and the user waits as long as `Retry-After` says.
"""

import os
import random
from pathlib import Path

import gevent
from locust import FastHttpUser, between, task
from locust.contrib.fasthttp import ResponseContextManager

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
BOUNDARY = "a-boundary-that-no-picture-holds"
MULTIPART = (
    (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="picture.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode()
    + PICTURE
    + f"\r\n--{BOUNDARY}--\r\n".encode()
)


def judge(answer: ResponseContextManager) -> None:
    """Counts the answer, and waits after a refusal."""
    if answer.status_code == 429:
        answer.failure("429: overloaded, or the quota is used up")
        said = answer.headers.get("Retry-After", "1")
        gevent.sleep(float(said) if said.isdecimal() else 1.0)
    elif answer.status_code != 200:
        answer.failure(f"status {answer.status_code}")


class FaqUser(FastHttpUser):
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


class ImageUser(FastHttpUser):
    """Sends pictures."""

    wait_time = between(0.1, 0.5)

    @task
    def score(self) -> None:
        """One picture in a form."""
        headers = {**HEADERS, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        with self.client.post(
            "/image/score", data=MULTIPART, headers=headers, catch_response=True
        ) as answer:
            judge(answer)
