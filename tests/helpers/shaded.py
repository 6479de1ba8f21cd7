"""What a shaded table says."""

import re


def cells(html: str) -> list[list[str]]:
    """The text of each body row's header and cells."""
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t", row) for row in html.split("<tbody>")[1].split("</tr>")[:-1]]


def percent(share: float) -> str:
    """A share as a cell says it."""
    return "100" if share == 1 else str(min(99, round(100 * share)))
