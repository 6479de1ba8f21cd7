"""The app's pages in AppTest, Streamlit's test runner, without a server or a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = Path(__file__).parent.parent.parent / "streamlit_app.py"


def open_page(**query: object) -> AppTest:
    """Open the Train page with these query parameters; a list gives a parameter several values."""
    page = AppTest.from_file(str(APP), default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value if isinstance(value, list) else str(value)
    page.run()
    assert not page.exception
    return page
