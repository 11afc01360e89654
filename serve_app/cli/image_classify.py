"""`scoring image classify`: labels for files and folders of pictures."""

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from deployments.registry import RegistryError
from serve_app.cli import EXIT_USAGE
from serve_app.cli.image_files import Outcome, find_pictures
from serve_app.cli.image_local import NoClassifier, classify_locally, load_classifier
from serve_app.cli.image_remote import Service, ServiceError
from serve_app.cli.messages import FAILED, fail, lacks_plots, say
from serve_app.configuration import API_KEY
from serve_app.http.schemas import TOP_K_IMAGE
from serve_app.models import registry_of
from serve_app.settings import Settings

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells count."""
PLOT_FORMATS = (".png", ".svg", ".pdf")
GAP = "  "

Emit = Callable[[Outcome], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="pictures, and folders in which pictures are looked for at every depth",
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="ask the service that runs there, such as http://127.0.0.1:8000 (with the key in "
        f"{API_KEY}, where that is set); without it the registered model is loaded here",
    )
    parser.add_argument(
        "--top-k", type=_top_k, default=5, metavar="N", help="labels for each picture (5)"
    )
    parser.add_argument(
        "--json", action="store_true", dest="as_json", help="one JSON object a line, not a table"
    )
    parser.add_argument(
        "--plot",
        type=_plot_file,
        metavar="PATH",
        help="write a contact sheet: the pictures with their top labels as bars "
        f"({', '.join(PLOT_FORMATS)})",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Outcomes on standard output, in the order of the files; 1 where a file has a problem."""
    if not options.files:
        fail("no file or folder is named")
        return EXIT_USAGE
    if options.plot is not None and lacks_plots():
        return FAILED
    files, problems = find_pictures(options.files)
    try:
        classify = _classifier(files, options, settings)
    except (NoClassifier, RegistryError, ServiceError) as error:
        return fail(error)
    except KeyboardInterrupt:
        fail("interrupted")
        return INTERRUPTED
    try:
        status = _report(files, problems, classify, options, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status


def _classifier(
    files: Sequence[Path], options: argparse.Namespace, settings: Settings
) -> Callable[[Emit], None]:
    """What classifies the files, one after the other, and passes on what comes of each."""
    if options.url is not None:
        service = Service(options.url, top_k=options.top_k, key=os.environ.get(API_KEY))
        return lambda emit: asyncio.run(service.classify(files, emit))
    if not files:
        return lambda _: None
    classifier = load_classifier(settings, registry_of(settings))

    def classify(emit: Emit) -> None:
        for outcome in classify_locally(files, classifier, settings, options.top_k):
            emit(outcome)

    return classify


def _report(
    files: Sequence[Path],
    problems: Sequence[Outcome],
    classify: Callable[[Emit], None],
    options: argparse.Namespace,
    settings: Settings,
) -> int:
    """Prints what comes of each file, also where the rest cannot be classified."""
    outcomes: list[Outcome] = []
    reason: Exception | str | None = None
    with tqdm(total=len(files) + len(problems), unit=" pictures", disable=len(files) < 2) as bar:

        def emit(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if options.as_json:
                with bar.external_write_mode():
                    print(to_json(outcome), flush=True)
            bar.update()

        for problem in problems:
            emit(problem)
        try:
            classify(emit)
        except KeyboardInterrupt:
            reason = "interrupted"
        except ServiceError as error:
            reason = error
    if outcomes and not options.as_json:
        print(to_table(outcomes, _columns()), flush=True)
    status = 0
    if options.plot is not None and outcomes:
        status = _plot(outcomes, options.plot, settings)
    failed = sum(outcome.problem is not None for outcome in outcomes)
    if failed or reason:
        left = len(files) + len(problems) - len(outcomes)
        say(f"{len(outcomes) - failed} classified, {failed} failed, {left} not tried")
    if reason is not None:
        fail(reason)
        return INTERRUPTED if reason == "interrupted" else FAILED
    return FAILED if failed else status


def _plot(outcomes: Sequence[Outcome], path: Path, settings: Settings) -> int:
    from serve_app.cli.image_sheet import save_sheet

    try:
        shown = save_sheet(outcomes, path, settings)
    except OSError as error:
        return fail(f"the contact sheet cannot be written: {error}")
    rest = f" (the first {shown} of {len(outcomes)})" if shown < len(outcomes) else ""
    say(f"contact sheet: {path}{rest}")
    return 0


def to_json(outcome: Outcome) -> str:
    """`{"file", "predictions"}` or `{"file", "problem"}` on one line."""
    if outcome.problem is not None:
        return json.dumps({"file": str(outcome.file), "problem": outcome.problem})
    return json.dumps({"file": str(outcome.file), "predictions": list(outcome.predictions)})


def to_table(outcomes: Sequence[Outcome], columns: int | None = None) -> str:
    """File, label, probability and the next labels, or the problem; lines of at most `columns`."""
    rows = [["file", "label", "probability", "next labels"], *map(_row, outcomes)]
    # A problem takes the whole line after the name of the file.
    widths = [max(len(row[column]) for row in rows if len(row) > 2) for column in (1, 2)]
    file_width = max(len(row[0]) for row in rows)
    lines = []
    for file, *cells in rows:
        if len(cells) > 1:
            label, number, others = cells
            cells = [label.ljust(widths[0]), number.rjust(widths[1]), others]
        line = GAP.join([file.ljust(file_width), *cells]).rstrip()
        lines.append(line if columns is None or len(line) <= columns else f"{line[: columns - 1]}…")
    return "\n".join(lines)


def _row(outcome: Outcome) -> list[str]:
    file = _printable(str(outcome.file))
    if outcome.problem is not None:
        problem = outcome.problem
        return [file, _printable(f"{problem['code']}: {problem.get('detail', '')}")]
    first, *others = [
        (_printable(item["label"]), f"{item['probability']:.1%}") for item in outcome.predictions
    ]
    return [file, *first, ", ".join(f"{label} {number}" for label, number in others)]


def _printable(text: str) -> str:
    """Names may hold line breaks, control sequences and bytes that are no text."""
    return text if text.isprintable() else ascii(text)


def _columns() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _top_k(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= TOP_K_IMAGE):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 to {TOP_K_IMAGE}")
    return int(text)


def _plot_file(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in PLOT_FORMATS:
        raise argparse.ArgumentTypeError(f"{text} must end in {', '.join(PLOT_FORMATS)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder")
    return path
