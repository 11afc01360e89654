"""The page for everybody: axe-core, the keyboard alone, a small screen."""

from collections.abc import Callable
from typing import Any

import pytest

from serve_app.errors import Overloaded
from tests.page.conftest import Serve
from tests.page.test_images import picture, upload

axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="axe-playwright-python is not installed: accessibility is not checked",
)

Open = Callable[..., Any]


def fill(page: Any) -> None:
    """Every kind of thing that the page can show."""
    page.get_by_text("Access", exact=True).click()
    page.get_by_label("Or ask a known duplicate").select_option("known duplicate 2")
    page.locator("#matches summary").first.click()
    page.get_by_label("Choose pictures").set_input_files(
        [upload("one.png", picture(30)), upload("notes.txt", b"no picture")]
    )
    page.get_by_text("2 of 2 pictures done").wait_for()
    page.locator("#routes tr", has_text="/v1/images/classify").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing(serve: Serve, open_page: Open, scheme: str, width: int) -> None:
    served = serve()
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 640}}
    page = open_page(served.url, **options, reduced_motion="reduce")
    fill(page)
    served.application.faq.error = Overloaded("too many questions", retry_after_s=60)
    page.get_by_role("button", name="Ask").click()
    page.get_by_text("Try again in 60 s").wait_for()
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_a_phone_does_not_scroll_sideways(serve: Serve, open_page: Open) -> None:
    viewport = {"width": 320, "height": 640}
    page = open_page(serve().url, viewport=viewport, is_mobile=True, has_touch=True)
    fill(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, input:not(.offscreen), select, summary")]
            .filter(each => each.checkVisibility() && each.offsetHeight < 44)
            .map(each => each.outerHTML)"""
    )
    assert small == []


def focused(page: Any) -> str:
    text: str = page.evaluate(
        "() => document.activeElement.id || document.activeElement.textContent.trim()"
    )
    return text


def tab_to(page: Any, wanted: str) -> None:
    passed = []
    for _ in range(40):
        page.keyboard.press("Tab")
        passed.append(focused(page))
        if passed[-1].startswith(wanted):
            return
    pytest.fail(f"the keyboard does not reach {wanted!r}, only {passed}")


def test_everything_is_done_with_the_keyboard(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    page.get_by_text("Every model has loaded").wait_for()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "question")
    page.keyboard.type("what is a closure")
    page.keyboard.press("Enter")
    page.locator("#matches > li").first.wait_for()
    tab_to(page, "known")
    page.keyboard.press("ArrowDown")
    page.locator("#faq-status", has_text="the right original at place 1").wait_for()
    tab_to(page, "known duplicate 0")
    page.keyboard.press("Enter")
    assert page.get_by_text("Answer of A0").is_visible()
    tab_to(page, "files")
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Space")
    chosen.value.set_files([upload("one.png", picture(30))])
    page.get_by_text("class 30").wait_for()
    page.locator("#clear").wait_for()
    tab_to(page, "clear")
    page.keyboard.press("Enter")
    assert page.locator("#pictures > li").count() == 0
    assert focused(page) == "files"


def test_what_has_the_focus_is_seen(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    page.get_by_text("Every model has loaded").wait_for()
    for _ in range(12):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => {
                const own = document.activeElement;
                const seen = own.id === "files" ? document.getElementById("drop") : own;
                return parseFloat(getComputedStyle(seen).outlineWidth) >= 2;
            }"""
        )
        assert outlined, focused(page)


def test_results_are_announced(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    assert page.locator("#faq-status").get_attribute("role") == "status"
    assert page.locator("#images-status").get_attribute("role") == "status"
    page.get_by_label("Your question").fill(" ")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("alert").wait_for()
    assert "question_empty" in page.get_by_role("alert").text_content()
