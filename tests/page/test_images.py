"""Pictures on the page: chosen, dropped and pasted; labels with bars, errors beside each."""

import base64
import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from serve_app.errors import Overloaded
from serve_app.settings import HttpSettings
from tests.page.conftest import Serve

Open = Callable[..., Any]


def picture(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (red, 90, 90)).save(file, "PNG")
    return file.getvalue()


def upload(name: str, content: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": content}


# A transfer as the browser makes one, with a picture in it, at the element or the document.
HAND_OVER = """([base64, event, target]) => {
    const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "given.png", {type: "image/png"}));
    const options = {bubbles: true, cancelable: true};
    const made = event === "paste"
        ? new ClipboardEvent(event, {...options, clipboardData: transfer})
        : new DragEvent(event, {...options, dataTransfer: transfer});
    document.querySelector(target).dispatchEvent(made);
    return made.defaultPrevented;
}"""


def hand_over(page: Any, event: str, target: str = "body") -> bool:
    content = base64.b64encode(picture(30)).decode()
    taken: bool = page.evaluate(HAND_OVER, [content, event, target])
    return taken


def test_two_pictures_get_labels_and_what_is_none_gets_its_error(
    serve: Serve, open_page: Open
) -> None:
    page = open_page(serve().url)
    files = [
        upload("low.png", picture(10)),
        upload("notes.txt", b"no picture", "text/plain"),
        upload("high.png", picture(200)),
    ]
    page.get_by_label("Choose pictures").set_input_files(files)
    page.get_by_text("3 of 3 pictures done, 1 error").wait_for()
    items = page.locator("#pictures > li")
    assert items.locator(".name").all_text_contents() == ["low.png", "notes.txt", "high.png"]
    firsts = [items.nth(index).locator(".labels li").first.text_content() or "" for index in (0, 2)]
    # The fake names the class after the colour.
    assert [first.split("50.0")[0] for first in firsts] == ["class 10", "class 200"]
    assert items.nth(0).locator(".bar").count() == 5
    assert items.locator("img").count() == 2
    sizes = items.locator("img").evaluate_all("images => images.map(i => i.naturalWidth)")
    assert sizes == [16, 16]
    problem = items.nth(1).locator("[role=alert]").text_content()
    assert "The file is not an image" in problem
    assert "not_an_image" in problem


def test_pictures_can_be_pasted(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    assert hand_over(page, "paste", "#question")
    page.get_by_text("class 30").wait_for()


def test_pictures_can_be_dropped_anywhere(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    assert hand_over(page, "dragover", "#service")
    assert "over" in page.locator("#drop").get_attribute("class")
    assert hand_over(page, "drop", "#service")
    page.get_by_text("class 30").wait_for()
    assert page.locator("#drop").get_attribute("class") == "drop"


def test_pasted_text_stays_text(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    taken = page.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "words");
            const made = new ClipboardEvent("paste", {clipboardData, cancelable: true});
            document.dispatchEvent(made);
            return made.defaultPrevented;
        }"""
    )
    assert not taken
    assert page.locator("#pictures > li").count() == 0


def test_at_most_four_are_in_flight_and_clearing_ends_them(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    asked: list[str] = []
    page.route("**/v1/images/classify*", lambda route: asked.append(route.request.url))
    page.get_by_label("Choose pictures").set_input_files(
        [upload(f"{red}.png", picture(red)) for red in range(6)]
    )
    page.get_by_text("0 of 6 pictures done").wait_for()
    page.wait_for_load_state()
    assert len(asked) == 4
    page.get_by_role("button", name="Clear").click()
    page.unroute_all(behavior="ignoreErrors")
    assert page.locator("#pictures > li").count() == 0
    page.get_by_label("Choose pictures").set_input_files([upload("new.png", picture(30))])
    page.get_by_text("1 of 1 picture done").wait_for()


def test_what_is_too_large_is_not_even_sent(serve: Serve, open_page: Open) -> None:
    served = serve(http=HttpSettings(image_limit_bytes=2048))
    page = open_page(served.url)
    page.get_by_label("Choose pictures").set_input_files([upload("big.png", bytes(4096))])
    problem = page.locator("#pictures [role=alert]")
    problem.wait_for()
    assert "It has 4 KiB; 2 KiB are allowed." in problem.text_content()
    assert served.application.image.calls == []


def test_a_refused_picture_can_be_sent_again(serve: Serve, open_page: Open) -> None:
    served = serve()
    served.application.image.error = Overloaded("too many pictures", retry_after_s=1)
    page = open_page(served.url)
    page.get_by_label("Choose pictures").set_input_files([upload("one.png", picture(30))])
    page.get_by_text("Try again in 1 s").wait_for()
    served.application.image.error = None
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("class 30").wait_for()


def test_thumbnails_leave_no_object_url_behind(serve: Serve, open_page: Open) -> None:
    page = open_page(serve().url)
    page.evaluate(
        """() => {
            window.open_urls = 0;
            const {createObjectURL, revokeObjectURL} = URL;
            URL.createObjectURL = made => (window.open_urls += 1, createObjectURL(made));
            URL.revokeObjectURL = url => (window.open_urls -= 1, revokeObjectURL(url));
        }"""
    )
    page.get_by_label("Choose pictures").set_input_files(
        [upload("one.png", picture(30)), upload("broken.png", b"broken")]
    )
    page.get_by_text("2 of 2 pictures done").wait_for()
    page.wait_for_function("window.open_urls === 0")
