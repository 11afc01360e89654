"""The provider as a process, and its switches."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

STOP_S = 10
ROOT = Path(__file__).parents[2]


class Issuer:
    """A provider that runs on loopback; `url` is the issuer's name."""

    audience = "api://scoring"

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.issuer", "--port", str(port), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "ready on" in line, "the issuer did not start"
        self.url = line.split()[-1]
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=10)

    def token(self, **claims: Any) -> str:
        """An access token; `claims` replace the usual ones, None removes one."""
        text: str = self._post("/test/mint", json=claims)["access_token"]
        return text

    def rotate(self, *, keep: bool = True, algorithm: str = "RS256") -> str:
        """Signs with a new key from now on; returns its kid."""
        kid: str = self._post("/test/rotate", params={"keep": int(keep), "algorithm": algorithm})[
            "kid"
        ]
        return kid

    def switch(self, *, down: bool = False, announced: str | None = None) -> None:
        """Lets discovery and JWKS fail, or name another issuer."""
        self._post("/test/switch", params={"down": int(down), "announced": announced or self.url})

    def counts(self) -> dict[str, int]:
        """How often `discovery` and `jwks` were asked for."""
        counted: dict[str, int] = self._client.get("/test/counts").raise_for_status().json()
        return {"discovery": 0, "jwks": 0, **counted}

    def stop(self) -> None:
        """Ends the process."""
        self._client.close()
        self._process.terminate()
        self._process.wait(STOP_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _post(self, path: str, **options: Any) -> Any:
        return self._client.post(path, **options).raise_for_status().json()


@contextmanager
def issuing(*arguments: str, port: int = 0) -> Iterator[Issuer]:
    """A provider from its start until the block ends."""
    issuer = Issuer(*arguments, port=port)
    try:
        yield issuer
    finally:
        issuer.stop()
