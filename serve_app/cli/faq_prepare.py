"""`scoring faq prepare`: makes a corpus from data in other forms."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.faq.corpus import Corpus, CorpusError
from serve_app.cli.messages import fail
from serve_app.settings import Settings

if TYPE_CHECKING:
    from deployments.faq.preparation.draft import Draft


_COLUMNS = {
    "question": "of the questions (question)",
    "answer": "of the answers, where there are any",
    "id": "that names the FAQs; needed where there are duplicates",
    "intent": "of labels: questions with one label ask the same, and none is an original",
    "duplicate": "of the duplicates' questions (that of --question-column)",
    "duplicate_of": "of the duplicates, with the id of their FAQ",
}
_FILES = {
    "duplicates": "other ways to ask for the FAQs",
    "val": "held out for validation: duplicates, or with --intent-column, labelled questions",
    "test": "held out for the evaluation, likewise",
    "out_of_scope": "questions that match nothing",
    "out_of_scope_test": "the same, held out",
}
_COMMON = ("min_text", "min_duplicates")
_OPTIONS = {
    "reference": ("test_size", "seed"),
    "stackexchange": ("tag",),
    "table": (*(f"{name}_column" for name in _COLUMNS), *_FILES, "out_of_scope_intent"),
}
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the inputs and the options of each kind."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="see --from")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=_OPTIONS,
        required=True,
        help="reference: the files of questions, duplicates and answers, in this order; "
        "stackexchange: the folder of a data dump; "
        "table: CSV, TSV or JSONL files with one FAQ, or one labelled question, a row",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="new or empty; the corpus"
    )
    parser.add_argument(
        "--min-text",
        type=_count,
        metavar="N",
        help="leave out questions with fewer characters (reference: 150, else 1)",
    )
    parser.add_argument(
        "--min-duplicates",
        type=_count,
        metavar="N",
        help="leave out FAQs with fewer (reference: 12, stackexchange: 1, table: 0)",
    )
    reference = parser.add_argument_group("--from reference")
    reference.add_argument(
        "--test-size", type=_share, metavar="SHARE", help="of the duplicates held out (0.21)"
    )
    reference.add_argument("--seed", type=_count, metavar="N", help="of that choice (0)")
    dump = parser.add_argument_group("--from stackexchange")
    dump.add_argument("--tag", metavar="TAG", help="of the questions to take; needed")
    _add_table_arguments(parser.add_argument_group("--from table"))


def run(options: argparse.Namespace, _settings: Settings) -> int:
    """Writes the corpus, tells what is in it and what was left out of it; returns the status."""
    from deployments.faq.preparation.writing import REJECTED, check_target, write_corpus

    try:
        _check_options(options)
        check_target(options.out)
        draft = _read(options)
        corpus = write_corpus(draft, options.out)
    except (CorpusError, OSError) as error:
        return fail(error)
    reasons = list(draft.summary())
    for line in reasons[:_SHOWN]:
        print(line, file=sys.stderr)
    if draft.rejected:
        more = f", {len(reasons) - _SHOWN} reasons more" if len(reasons) > _SHOWN else ""
        place = options.out / REJECTED
        print(f"{len(draft.rejected)} rows left out{more}, each in {place}", file=sys.stderr)
    print(f"{options.out}: {_describe(corpus)}")
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _add_table_arguments(group: argparse._ArgumentGroup) -> None:
    for name, meaning in _COLUMNS.items():
        option = f"--{name.replace('_', '-')}-column"
        group.add_argument(option, metavar="NAME", help=f"column {meaning}")
    for name, meaning in _FILES.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=Path, action="append", metavar="FILE", help=meaning)
    group.add_argument(
        "--out-of-scope-intent", metavar="LABEL", help="the label of questions that match nothing"
    )


def _check_options(options: argparse.Namespace) -> None:
    for kind, names in _OPTIONS.items():
        for name in names:
            if kind != options.kind and getattr(options, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise CorpusError(f"{option} is for --from {kind}, not {options.kind}")


def _read(options: argparse.Namespace) -> "Draft":
    inputs: list[Path] = options.inputs
    given = _given(options, _COMMON)
    if options.kind == "reference":
        from deployments.faq.preparation.reference import read_reference

        if len(inputs) != 3:
            raise CorpusError("--from reference needs 3 files: questions, duplicates and answers")
        given |= _given(options, _OPTIONS["reference"])
        return read_reference(inputs[0], inputs[1], inputs[2], **given)
    if options.kind == "stackexchange":
        from deployments.faq.preparation.stackexchange import read_stackexchange

        if len(inputs) != 1 or options.tag is None:
            raise CorpusError("--from stackexchange needs one folder, and a --tag")
        return read_stackexchange(inputs[0], options.tag, **given)
    from deployments.faq.preparation.table import Columns, Files, read_table

    names = _given(options, [f"{name}_column" for name in _COLUMNS])
    columns = Columns(**{name.removesuffix("_column"): value for name, value in names.items()})
    files = Files(inputs, **_given(options, _FILES))
    return read_table(files, columns, out_of_scope_intent=options.out_of_scope_intent, **given)


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """What was named on the command line; the defaults are those of the reading functions."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _describe(corpus: Corpus) -> str:
    answered = sum(faq.answer is not None for faq in corpus.faqs)
    return (
        f"{len(corpus.faqs)} FAQs, {answered} with an answer; duplicates: {len(corpus.train)} to "
        f"train on, {len(corpus.val)} to validate, {len(corpus.test)} to test; out of scope: "
        f"{len(corpus.oos_train)} to train on, {len(corpus.oos_val)} to validate, "
        f"{len(corpus.oos_test)} to test"
    )
