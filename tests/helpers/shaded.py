"""What a shaded table says."""

import re


def cells(html: str) -> list[list[str]]:
    """The text of each body row's header and cells."""
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t", row) for row in html.split("<tbody>")[1].split("</tr>")[:-1]]


def percent(share: float) -> str:
    """A share as a cell says it: rounded down."""
    return str(int(100 * share + 1e-6))
