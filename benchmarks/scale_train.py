"""The scale benchmark's training process: `python -m benchmarks.scale_train FAQS FOLDER`.

Makes a corpus, trains on it, saves the model and the held-out questions in FOLDER, and prints its
findings as one line of JSON.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.payloads import shared_data
from benchmarks.processes import PROC
from benchmarks.scale_serve import HeldOut, stay_on_one_core, times_ms, write_questions
from benchmarks.synthetic import synthetic_corpus
from deployments.faq.corpus import Corpus, load_corpus
from deployments.faq.training import train

BANKING77_FAQS = 77


@dataclass(frozen=True)
class Trained:
    """One training. Resident memory is all of the process: `peak_mib` at its most, until the model
    was saved, and `corpus_mib` before the training, when it held the corpus and the libraries.

    `size_mb` is the model's files in 10^6 bytes. `analysis_p50_ms` is the time of scikit-learn's
    own vectorisers for one question, on one core; measured for Banking77's size alone.
    """

    source: str
    faqs: int
    duplicates: int
    make_s: float
    train_s: float
    save_s: float
    corpus_mib: float
    peak_mib: float
    size_mb: float
    analysis_p50_ms: float | None


def train_and_save(faqs: int, folder: Path) -> Trained:
    """Saves `model` and the questions, in random order, in `folder`."""
    began = time.perf_counter()
    corpus, source = _corpus(faqs)
    made = time.perf_counter()
    corpus_mib = _resident_mib("VmRSS:")
    ranker = train(corpus)
    trained = time.perf_counter()
    ranker.save(folder / "model")
    saved = time.perf_counter()
    peak_mib = _resident_mib("VmHWM:")
    questions = _questions(corpus)
    write_questions(folder, questions)
    return Trained(
        source=source,
        faqs=len(corpus.faqs),
        duplicates=len(corpus.train),
        make_s=made - began,
        train_s=trained - made,
        save_s=saved - trained,
        corpus_mib=corpus_mib,
        peak_mib=peak_mib,
        size_mb=_size_mb(folder / "model"),
        analysis_p50_ms=_analysis_p50_ms(corpus, questions) if faqs == BANKING77_FAQS else None,
    )


def _corpus(faqs: int) -> tuple[Corpus, str]:
    banking77 = shared_data() / "faq" / "banking77"
    if faqs == BANKING77_FAQS and banking77.is_dir():
        return load_corpus(banking77), "Banking77"
    return synthetic_corpus(faqs), "synthetic"


def _questions(corpus: Corpus) -> list[HeldOut]:
    order = np.random.default_rng(0).permutation(len(corpus.test)).tolist()
    chosen = [corpus.test[place] for place in order]
    return [HeldOut(each.text, corpus.faqs[each.faq].id) for each in chosen]


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _resident_mib(field: str) -> float:
    # Not getrusage: its peak begins at that of the process which started this one.
    lines = (PROC / "self" / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _analysis_p50_ms(corpus: Corpus, questions: Sequence[HeldOut]) -> float:
    stay_on_one_core()
    known = [*(faq.question for faq in corpus.faqs), *(each.text for each in corpus.train)]
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    words.fit(known)
    characters.fit(known)
    texts = [each.text for each in questions]
    times = times_ms(texts, lambda text: (words.transform([text]), characters.transform([text])))
    return float(np.median(times))


def main() -> None:
    """Trains once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faqs", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    print(msgspec.json.encode(train_and_save(given.faqs, given.folder)).decode())


if __name__ == "__main__":
    main()
