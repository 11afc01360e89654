"""The Python client, blocking and with asyncio: `python examples/client.py [URL]`."""

import asyncio
import os
import sys
from pathlib import Path

from serve_app.client import AsyncScoringClient, Overloaded, RefusedPicture, ScoringClient

PICTURE = Path(__file__).parent / "picture.png"


def blocking(url: str, key: str | None) -> None:
    """One question and one picture."""
    with ScoringClient(url, key=key, timeout_s=10) as client:
        ranking = client.rank("what is a closure", top_k=3)
        for match in ranking.matches:
            print(f"{match.probability:6.1%}  {match.question}")
        best = client.classify(PICTURE).predictions[0]
        print(f"{best.probability:6.1%}  {best.label}")


async def together(url: str, key: str | None) -> None:
    """Many questions at once over a few connections, and several pictures in one request."""
    async with AsyncScoringClient(url, key=key, connections=4) as client:
        questions = ["how do I copy an array", "what does await do", "let or var"]
        rankings = await asyncio.gather(*(client.rank(text) for text in questions))
        for text, ranking in zip(questions, rankings, strict=True):
            print(f"{text}: {ranking.matches[0].id}" if ranking.matched else f"{text}: no match")
        for found in await client.classify([PICTURE, b"no picture"]):
            if isinstance(found, RefusedPicture):
                print(f"refused: {found.code}")
            else:
                print(f"{found.predictions[0].label}, by {found.model.name}")


def main() -> None:
    """Runs both."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    key = os.environ.get("SCORING_API_KEY")
    try:
        blocking(url, key)
        asyncio.run(together(url, key))
    except Overloaded as refused:
        sys.exit(f"try again in {refused.retry_after_s or 1:.0f} s: {refused.detail}")


if __name__ == "__main__":
    main()
