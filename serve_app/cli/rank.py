"""`scoring rank`: the FAQs that questions ask, by a running service."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

import msgspec

from serve_app.cli import EXIT_USAGE
from serve_app.cli.messages import FAILED, fail
from serve_app.client import Ranking, ScoringClient, ScoringServiceError
from serve_app.client.endpoint import DEFAULT_URL
from serve_app.configuration import API_KEY
from serve_app.http.schemas import QUESTIONS, TOP_K_FAQ
from serve_app.settings import Settings

STANDARD_INPUT = "-"
BAR_WIDTH = 20
FULL, EIGHTHS = "█", " ▏▎▍▌▋▊▉"
QUESTION_WIDTH = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "questions",
        nargs="+",
        metavar="QUESTION",
        help="what to ask; several are asked together; - reads one a line from standard input",
    )
    parser.add_argument(
        "--url", default=DEFAULT_URL, help=f"the service ({DEFAULT_URL}); the key in {API_KEY}"
    )
    parser.add_argument("--top-k", type=_top_k, default=5, metavar="N", help="FAQs for each (5)")
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="one JSON object a line, not a table"
    )


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Rankings on standard output, in the order of the questions."""
    questions = list(_questions(options.questions))
    if not questions:
        fail("no question")
        return EXIT_USAGE
    try:
        client = ScoringClient(options.url, key=os.environ.get(API_KEY) or None)
    except ValueError as error:
        fail(error)
        return EXIT_USAGE
    with client:
        try:
            for start in range(0, len(questions), QUESTIONS):
                portion = questions[start : start + QUESTIONS]
                _print(portion, _ask(client, portion, options.top_k), as_json=options.as_json)
            sys.stdout.flush()
        except ScoringServiceError as error:
            return fail(error)
        except BrokenPipeError:
            # Whoever read has enough; Python would complain once more when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
    return 0


def _ask(client: ScoringClient, questions: list[str], top_k: int) -> tuple[Ranking, ...]:
    if len(questions) == 1:  # a lone question is not kept in the queue of the many
        return (client.rank(questions[0], top_k=top_k),)
    return client.rank(questions, top_k=top_k)


def _questions(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word == STANDARD_INPUT:
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield word


def _print(questions: Sequence[str], rankings: Sequence[Ranking], *, as_json: bool) -> None:
    for question, ranking in zip(questions, rankings, strict=True):
        if as_json:
            print(json.dumps({"asked": question, **msgspec.to_builtins(ranking)}))
        else:
            print("\n".join(to_lines(question, ranking)))


def to_lines(question: str, ranking: Ranking) -> list[str]:
    """The question, then a line for each match: probability, bar, id and the FAQ's question."""
    verdict = "" if ranking.matched else "  (below the model's threshold: perhaps none of these)"
    lines = [f"{_printable(question)}{verdict}"]
    width = max((len(_printable(match.id)) for match in ranking.matches), default=0)
    for match in ranking.matches:
        name, text = _printable(match.id).ljust(width), _printable(match.question)
        if len(text) > QUESTION_WIDTH:
            text = f"{text[: QUESTION_WIDTH - 1]}…"
        number = f"{match.probability:.1%}".rjust(6)
        lines.append(f"  {number} {bar(match.probability)} {name}  {text}")
    return [*lines, f"  by {ranking.model.name} version {ranking.model.version}"]


def bar(share: float) -> str:
    """`share` (0 to 1) as a bar of `BAR_WIDTH` characters, exact to an eighth of one."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR_WIDTH * 8)
    text = FULL * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    return text.ljust(BAR_WIDTH)


def _printable(text: str) -> str:
    """Questions may hold line breaks and control sequences."""
    return text if text.isprintable() else ascii(text)


def _top_k(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= TOP_K_FAQ):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 to {TOP_K_FAQ}")
    return int(text)
