"""Questions on the page: bars, answers that unfold, the right original, errors in place."""

from collections.abc import Callable
from typing import Any

import pytest

from serve_app.errors import Overloaded
from tests.page.conftest import Serve

Open = Callable[..., Any]


def ask(page: Any, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask").click()


def test_a_question_gets_matches_with_bars(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    page.get_by_label("Matches", exact=True).fill("3")
    ask(page, "what is a closure")
    items = page.locator("#matches > li")
    items.nth(2).wait_for()
    assert items.count() == 3
    assert items.first.locator(".percent").text_content() == "90.0 %"
    widths = items.locator(".bar > div").evaluate_all(
        "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert widths == pytest.approx([0.9, 0.45, 0.3], abs=0.01)
    assert "faq version 3" in page.locator("#faq-status").text_content()
    assert page.locator(".right").count() == 0


def test_an_answer_unfolds(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    ask(page, "what is a closure")
    answer = page.get_by_text("Answer of A1")
    answer.wait_for(state="attached")
    assert not answer.is_visible()
    page.locator("#matches summary").nth(1).click()
    assert answer.is_visible()


@pytest.mark.parametrize(
    ("duplicate", "place", "said"),
    [
        ("known duplicate 2", 2, "the right original at place 3"),
        ("known duplicate 9", None, "the right original not among them"),
    ],
)
def test_the_right_original_of_a_known_duplicate_is_marked(
    serve: Serve, open_page: Open, duplicate: str, place: int | None, said: str
) -> None:
    page = open_page(serve().url)
    page.get_by_label("Or ask a known duplicate").select_option(duplicate)
    page.locator("#faq-status", has_text=said).wait_for()
    assert page.get_by_label("Your question").input_value() == duplicate
    marked = page.locator("#matches > li").evaluate_all(
        "items => items.map(item => item.querySelector('.right') !== null)"
    )
    assert marked == [index == place for index in range(5)]


def test_a_model_without_known_duplicates_offers_none(serve: Serve, open_page: Open) -> None:
    served = serve()
    served.application.faq.duplicates = []
    page = open_page(served.url)
    page.locator(".model").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert not page.locator("#known").is_visible()


def test_an_error_stands_in_place_and_goes_with_the_next_answer(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve().url)
    ask(page, " ")
    problem = page.locator("#faq-problem [role=alert]")
    problem.wait_for()
    assert "The question is empty" in problem.text_content()
    assert "question_empty" in problem.text_content()
    ask(page, "what is a closure")
    page.locator("#matches > li").first.wait_for()
    assert problem.count() == 0


def test_a_time_to_wait_is_counted_down_and_ends_in_a_button(serve: Serve, open_page: Open) -> None:
    served = serve()
    served.application.faq.error = Overloaded("too many questions", retry_after_s=2)
    page = open_page(served.url)
    ask(page, "what is a closure")
    page.get_by_text("Try again in 2 s").wait_for()
    page.get_by_text("Try again in 1 s").wait_for()
    served.application.faq.error = None
    page.get_by_role("button", name="Try again").click()
    page.locator("#matches > li").first.wait_for()


def test_what_a_model_says_never_becomes_markup(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    page.locator("#matches > li").first.wait_for()
    assert page.locator("#matches img, #matches b").count() == 0
    assert "<b>bold</b>" in page.locator("#matches").text_content()
