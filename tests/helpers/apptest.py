"""The app's pages in AppTest, Streamlit's test runner, without a server or a browser."""

from collections.abc import Callable, Mapping
from pathlib import Path

from streamlit.testing.v1 import AppTest

#: Seconds for a page to be drawn.
_PATIENCE = 120
APP = Path(__file__).parent.parent.parent / "streamlit_app.py"


def open_page(**query: object) -> AppTest:
    """Open the Train page with these query parameters; a list gives a parameter several values."""
    return _opened(AppTest.from_file(str(APP), default_timeout=_PATIENCE), query)


def open_script(script: Callable[[], None], **query: object) -> AppTest:
    """Open another page alone, by a function that draws it: the test runner cannot open a page that is a function."""
    return _opened(AppTest.from_function(script, default_timeout=_PATIENCE), query)


def _opened(page: AppTest, query: Mapping[str, object]) -> AppTest:
    for name, value in query.items():
        page.query_params[name] = value if isinstance(value, list) else str(value)
    page.run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    """All that a page says in its text, captions and boxes, a line each."""
    return "\n".join(str(element.value) for kind in (page.markdown, page.text, page.caption, page.error, page.warning)
                     for element in kind)
