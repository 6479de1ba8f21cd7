"""Messages about uploaded files stand beside the uploader, and go when they no longer apply. By AppTest."""


import pytest
from streamlit.testing.v1 import AppTest

from echo_app import actions, state
from tests.helpers.apptest import open_page

pytestmark = pytest.mark.usefixtures("own_engine")

NOT_UTF_8 = "caf\xe9,yes\n".encode("cp1252")


def bring(page: AppTest, key: str, name: str, content: bytes) -> None:
    page.file_uploader(key=key).set_value((name, content, "application/octet-stream")).run()
    assert not page.exception


def refusals(page: AppTest) -> list[str]:
    return [box.value for box in page.error]


def drawn_below(page: AppTest, key: str) -> str:
    """What the two elements below an uploader say."""
    elements = [element for element in page.main if hasattr(element, "proto")]
    at = next(place for place, element in enumerate(elements) if getattr(element, "key", None) == key)
    return "\n".join(str(getattr(element, "value", "")) for element in elements[at + 1:at + 3])


def test_a_file_that_is_not_utf_8_is_refused_below_its_uploader_until_a_good_one_comes():
    page = open_page(preset="pairs")
    before = page.session_state["text"]
    bring(page, "upload", "a.csv", NOT_UTF_8)
    assert actions.REFUSED in drawn_below(page, "upload")
    assert "must be a file in UTF-8" in drawn_below(page, "upload")
    assert page.session_state["text"] == before
    bring(page, "upload", "b.csv", "café,yes\nthé,no\n".encode())
    assert page.session_state["text"] == "café => yes\nthé => no"
    assert refusals(page) == []


@pytest.mark.parametrize("then", ["removed", "typed", "preset"])
def test_a_refusal_of_a_file_is_gone_when_it_no_longer_holds(then: str):
    page = open_page(preset="pairs")
    bring(page, "upload", "a.csv", NOT_UTF_8)
    assert refusals(page) == [actions.REFUSED]
    if then == "removed":
        page.file_uploader(key="upload").set_value(None).run()
    elif then == "typed":
        page.text_area(key="text").set_value("a => b\nc => d").run()
    else:
        page.selectbox(key="preset").select("whole").run()
    assert refusals(page) == []


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"[]", b"\xff", b'{"units": [1]}'])
def test_damaged_settings_are_refused_in_the_popover_below_the_uploader_until_good_ones_come(content: bytes):
    page = open_page(preset="whole")
    bring(page, "import_config", "s.json", content)
    assert actions.REFUSED in drawn_below(page, "import_config")
    assert "one JSON object of plain values" in drawn_below(page, "import_config")
    assert not page.warning  # on the page the popover would hide it
    bring(page, "import_config", "t.json", b'{"units": 33}')
    assert page.session_state["units"] == 33
    assert refusals(page) == []


def test_settings_that_are_half_good_say_at_most_ten_lines_of_it():
    page = open_page(preset="whole")
    wrong = ", ".join(f'"{name}": "no"' for name in state.FIELDS if name != "text")
    bring(page, "import_config", "s.json", ("{%s, \"a\": 1, \"b\": 2}" % wrong).encode())  # noqa: UP031
    lines = drawn_below(page, "import_config").splitlines()
    assert lines[0] == actions.PARTLY_ACCEPTED
    assert len(lines) == 1 + 10 + 1
    assert lines[-1].startswith("and ")


@pytest.mark.parametrize(("text", "said"), [
    ("a => b", "4,090 bytes of 4,096 left"), ("日本 => 語", "4,083 bytes of 4,096 left"),
    ("a => " + "b" * 4090, "1 byte of 4,096 left"), ("a => " + "é" * 2046, "1 byte too many: a text has at most 4,096"),
    ("é => " + "x" * 20_000, "15,910 bytes too many: a text has at most 4,096")])
def test_the_counter_of_a_text_counts_the_bytes_that_the_limit_counts(text: str, said: str):
    page = open_page(preset="pairs")
    page.text_area(key="text").set_value(text).run()
    assert said in [caption.value for caption in page.caption]
