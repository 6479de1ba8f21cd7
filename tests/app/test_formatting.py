"""What a page says of numbers, and text that it shows as it is."""

import re

from hypothesis import given
from hypothesis import strategies as st

from echo_app.formatting import plain


@given(st.text())
def test_plain_text_keeps_every_sign_and_escapes_what_markdown_reads(text: str):
    said = plain(text)
    assert re.sub(r"\\([^\w\s]|_)", r"\1", said.replace("\u2060", "")) == " ".join(text.split()).replace("\u2060", "")
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`$\[\]()!<>#|~&:]", re.sub(r"\\.", "", said))


def test_plain_text_breaks_up_what_streamlit_looks_for_after_escapes_are_gone():
    shown = re.sub(r"\\(.)", r"\1", plain("http://a.b WWW.a.b me@a.b :smile: :material/home: :red[x] a -> b <- c -- d"))
    assert not re.search(r"https?://|www\.|@\w|:[\w-]+:|:material/|:\w+\[|->|<-|--", shown, re.IGNORECASE)
