"""The arguments of `scoring load`."""

import argparse
from pathlib import Path

from serve_app.client.endpoint import DEFAULT_URL
from serve_app.configuration import API_KEY
from serve_app.load.objectives import HELP, Objective, parse_objective
from serve_app.load.payloads import PATHS
from serve_app.load.plot import FORMATS

CONNECTIONS = 16
STEPS = 5
SECONDS = 10.0
STANDARD_OUTPUT = Path("-")
_OBJECTIVES = HELP.replace("%", "%%")
"""As argparse prints it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add = parser.add_argument
    add("--url", default=DEFAULT_URL, help=f"the service ({DEFAULT_URL}); the key in {API_KEY}")
    add("--target", choices=tuple(PATHS), default="faq", help="what is asked (faq)")
    add(
        "--payloads",
        type=Path,
        metavar="PATH",
        help="a table with a column Text or a corpus' folder; a picture or a folder of pictures "
        "(the JavaScript corpus' test questions; examples/picture.png)",
    )
    loads = parser.add_mutually_exclusive_group()
    one = loads.add_argument
    one("--connections", type=_count, metavar="N", help=f"closed loop of N ({CONNECTIONS})")
    one("--rate", type=_positive, metavar="R", help="open loop: Poisson arrivals, R a second")
    one("--ramp", type=_rates, metavar="FROM:TO", help="open loop whose rate climbs in steps")
    one("--ramp-connections", type=_counts, metavar="FROM:TO", help="closed loop that grows")
    add("--steps", type=_count, default=STEPS, metavar="N", help=f"of a ramp ({STEPS})")
    add("--seconds", type=_positive, default=SECONDS, help=f"for all steps ({SECONDS:g})")
    add("--warm-up", type=_not_negative, default=1.0, metavar="S", help="seconds not counted (1)")
    add("--timeout", type=_positive, default=30.0, metavar="S", help="for each answer (30)")
    add(
        "--connection-life",
        type=_positive,
        metavar="S",
        help="open loop: seconds after which a connection takes no further request (no limit)",
    )
    add(
        "--connect-retries",
        type=_not_negative_count,
        default=0,
        metavar="N",
        help="open loop: further attempts for a request that got no connection (0)",
    )
    add("--connect-timeout", type=_positive, metavar="S", help="for each attempt (no limit)")
    add(
        "--objective",
        type=_objective,
        action="append",
        default=[],
        metavar="TEXT",
        help=f"such as 'p99<50ms'; may be repeated; exit status 1 where one is missed "
        f"({_OBJECTIVES})",
    )
    add(
        "--json",
        type=_writable,
        dest="json_file",
        metavar="FILE",
        help="write all figures; - for one line on standard output",
    )
    add("--plot", type=_plot_file, metavar="FILE", help=f"draw them ({', '.join(FORMATS)})")
    add("--seed", type=int, default=0, help="of the arrivals (0)")


def _positive(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _not_negative(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 to 10,000")
    return int(text)


def _not_negative_count(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _rates(text: str) -> tuple[float, float]:
    first, _, last = text.partition(":")
    return _positive(first), _positive(last)


def _counts(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return _count(first), _count(last)


def _objective(text: str) -> Objective:
    try:
        return parse_objective(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _writable(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder")
    return path


def _plot_file(text: str) -> Path:
    path = _writable(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text} must end in {', '.join(FORMATS)}")
    return path
