"""The grid of windows: what was read, what should come back, what came back. HTML from numbers alone."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from echo_app.charts import RIGHT, WRONG
from echo_core.records import Snapshot

#: Rows, and numbers in them, that are shown at most; the table for download has all.
MAX_ROWS, MAX_NUMBERS = 40, 1500

STYLE = f"""<style>
.st-key-run {{ scroll-margin-top: 4rem; }}
.echo-grid {{ overflow-x: auto; }}
.echo-grid table {{ border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums;
  font-size: 0.82rem; line-height: 1.25; white-space: nowrap; margin: 0; }}
.echo-grid caption {{ text-align: left; padding: 0 0 0.4rem; caption-side: top; }}
.echo-grid th {{ font-weight: 600; text-align: left; padding: 0 3px 2px; opacity: 0.75; border: 0; }}
.echo-grid td {{ text-align: right; padding: 1px 3px; border: 0; border-radius: 4px; min-width: 1.3em; }}
.echo-grid td.gap {{ min-width: 0.4em; padding: 0 2px; opacity: 0.5; }}
.echo-grid td.in {{ opacity: 0.65; }}
.echo-grid td.echoed {{ opacity: 1; font-weight: 600; }}
.echo-grid td.right {{ background: color-mix(in srgb, {RIGHT} var(--sure), transparent); }}
.echo-grid td.wrong {{ background: color-mix(in srgb, {WRONG} var(--sure), transparent); }}
.echo-grid td i {{ font-style: normal; font-weight: 700; padding-left: 1px; }}
.echo-grid td.right i {{ color: {RIGHT}; }}
.echo-grid td.wrong i {{ color: {WRONG}; }}
@media (max-width: 640px) {{
  .echo-grid table {{ font-size: 0.68rem; border-spacing: 1px; }}
  .echo-grid td {{ padding: 1px 1px; }}
  .echo-grid td i {{ padding-left: 0; }}
}}
</style>"""


def grid(windows: NDArray[np.int64], output_length: int, snapshot: Snapshot | None) -> str:
    """The windows of one sequence, each predicted number marked right (✓) or wrong (✗).

    Args:
        windows: Integers (windows, input_length); the echo is the first columns.
        snapshot: What the network answered; None shows what it will be asked.
    """
    input_length = windows.shape[1]
    head = (f'<tr><th colspan="{input_length}" scope="colgroup">Input</th><th></th>'
            f'<th colspan="{output_length}" scope="colgroup">Expected</th><th></th>'
            f'<th colspan="{output_length}" scope="colgroup">Predicted</th></tr>')
    rows = [_row(windows[k], output_length, snapshot, k) for k in range(_num_rows(windows, output_length))]
    caption = escape(summary(windows, output_length, snapshot))
    return (f'<div class="echo-grid" tabindex="0" role="region" aria-label="Windows of an unseen sequence"><table>'
            f'<caption>{caption}</caption><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>')


def summary(windows: NDArray[np.int64], output_length: int, snapshot: Snapshot | None) -> str:
    """In words: how many windows and numbers are right."""
    shown = _num_rows(windows, output_length)
    more = f" (the first {shown} are shown)" if len(windows) > shown else ""
    if snapshot is None:
        return f"{len(windows)} windows of a sequence that training never sees{more}."
    right = snapshot.predicted == windows[:, :output_length]
    return (f"Epoch {snapshot.epoch:,}: {int(right.all(axis=1).sum())} of {len(windows)} windows right, "
            f"{int(right.sum())} of {right.size} numbers{more}.")


def _num_rows(windows: NDArray[np.int64], output_length: int) -> int:
    numbers_in_a_row = int(windows.shape[1]) + 2 * output_length
    return min(len(windows), MAX_ROWS, max(3, MAX_NUMBERS // numbers_in_a_row))


def _row(window: NDArray[np.int64], output_length: int, snapshot: Snapshot | None, k: int) -> str:
    read = "".join(f'<td class="in{" echoed" if t < output_length else ""}">{number}</td>'
                   for t, number in enumerate(window))
    expected = "".join(f"<td>{number}</td>" for number in window[:output_length])
    if snapshot is None:
        predicted = '<td class="gap">·</td>' * output_length
    else:
        predicted = "".join(
            _predicted(int(answer), int(number), float(sure)) for answer, number, sure
            in zip(snapshot.predicted[k], window, snapshot.confidence[k], strict=False))
    return f'<tr>{read}<td class="gap">→</td>{expected}<td class="gap"></td>{predicted}</tr>'


def _predicted(answer: int, expected: int, confidence: float) -> str:
    right = answer == expected
    kind, sign = ("right", "✓") if right else ("wrong", "✗")
    hover = f"{confidence:.0%} sure" + ("" if right else f"; expected {expected}")
    return f'<td class="{kind}" style="--sure:{8 + 37 * confidence:.0f}%" title="{hover}">{answer}<i>{sign}</i></td>'
