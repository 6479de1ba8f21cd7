"""The grid of windows as HTML: input, expected and predicted numbers, or escaped words."""

from html import escape

import numpy as np

from echo_app.charts.curves import RIGHT, WRONG
from echo_core.config import RunConfig
from echo_core.data import TASKS, Examples
from echo_core.records import Snapshot
from echo_core.text.plurals import counted

#: Rows, and numbers, that the grid shows at most; the table for download has all.
MAX_ROWS, MAX_NUMBERS = 40, 1500

STYLE = f"""<style>
.st-key-run {{ scroll-margin-top: 4rem; }}
.echo-grid {{ overflow-x: auto; }}
.echo-grid table {{ border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums;
  font-size: 0.82rem; line-height: 1.25; white-space: nowrap; margin: 0; }}
.echo-grid caption {{ text-align: left; padding: 0 0 0.4rem; caption-side: top; white-space: normal; }}
.echo-grid th {{ font-weight: 600; text-align: left; padding: 0 3px 2px; opacity: 0.75; border: 0; }}
.echo-grid td {{ text-align: right; padding: 1px 3px; border: 0; border-radius: 4px; min-width: 1.3em; }}
.echo-grid .words td {{ text-align: left; white-space: normal; vertical-align: top; padding: 2px 6px 2px 3px; }}
.echo-grid .words span {{ display: inline-block; padding: 0 3px; border-radius: 4px; margin: 0 1px 1px 0;
  unicode-bidi: isolate; max-width: 40ch; overflow-wrap: break-word; }}
.echo-grid table.stacked {{ font-size: 0.68rem; border-spacing: 1px; }}
.echo-grid .stacked td {{ padding: 1px; min-width: 0; }}
.echo-grid .stacked th {{ font-weight: 400; }}
.echo-grid .stacked tr.last > * {{ border-bottom: 0.5rem solid transparent; background-clip: padding-box; }}
.echo-windows tbody tr {{ cursor: pointer; }}
.echo-windows tbody tr:is(:hover, :focus-visible) > * {{
  box-shadow: inset 0 -2px color-mix(in srgb, currentColor 45%, transparent); }}
.echo-grid td.gap {{ min-width: 0.4em; padding: 0 2px; opacity: 0.5; }}
.echo-grid .in {{ opacity: 0.65; }}
.echo-grid .echoed {{ opacity: 1; font-weight: 600; }}
:is(.echo-grid, .echo-legend) .right {{ background: color-mix(in srgb, {RIGHT} var(--sure), transparent); }}
:is(.echo-grid, .echo-legend) .wrong {{ background: color-mix(in srgb, {WRONG} var(--sure), transparent); }}
.echo-legend {{ display: flex; flex-wrap: wrap; gap: 0.1rem 0.5rem; font-size: 0.8rem; opacity: 0.85; }}
.echo-legend span {{ padding: 0 3px; border-radius: 4px; }}
.echo-legend em {{ font-style: normal; padding: 0 5px; border-radius: 4px; margin-right: 1px; }}
:is(.echo-grid, .echo-legend) i {{ font-style: normal; font-weight: 700; padding-left: 1px; }}
:is(.echo-grid, .echo-legend) .right i {{ color: {RIGHT}; }}
:is(.echo-grid, .echo-legend) .wrong i {{ color: {WRONG}; }}
@media (max-width: 640px) {{
  .echo-grid table {{ font-size: 0.68rem; border-spacing: 1px; }}
  .echo-grid td {{ padding: 1px 1px; }}
  .echo-grid i {{ padding-left: 0; }}
}}
</style>"""

#: Pixels that a cell takes at most, and that the arrows and gaps between the three parts take.
_CELL_PIXELS, _BETWEEN_PIXELS = 30, 40
#: Above this many numbers in a row, input, expected and predicted are stacked instead of side by side.
WIDEST = 18
#: The tag around a number, which has its own cell, and around a word, which shares one so that long words fit.
_CELL, _WORD = "td", "span"


def grid(config: RunConfig, examples: Examples, snapshot: Snapshot | None) -> str:
    """The grid of windows, each predicted number marked right (✓) or wrong (✗).

    Args:
        snapshot: The predictions; None leaves them empty.
    """
    rows = [_row(config, examples, snapshot, k) for k in range(_num_rows(examples))]
    kind = ' class="words"' if config.text else ' class="stacked"' if _is_wide(config) else ""
    return (f'<div class="echo-grid" tabindex="0" role="region" aria-label="Windows and their answers"><table{kind}>'
            f'<caption>{escape(summary(config, examples, snapshot))}</caption>'
            f'{_head(config)}<tbody>{"".join(rows)}</tbody></table></div>')


def legend(config: RunConfig) -> str:
    """What signs, shades and bold numbers of the grid mean."""
    sure = "nearer to it" if config.representation == "linear" else "surer"
    asked = "" if config.task == "pairs" else "<span><strong>bold</strong>: must come back</span>"
    shades = "".join(f'<em class="right" style="--sure:{shade}%">&nbsp;</em>' for shade in (10, 26, 45))
    return (f'<div class="echo-legend" role="note" aria-label="How to read the windows">{asked}'
            f'<span class="right" style="--sure:30%"><i>✓</i> right</span>'
            f'<span class="wrong" style="--sure:30%"><i>✗</i> wrong</span>'
            f"<span>{shades} {sure}</span></div>")


def width(config: RunConfig) -> int:
    """About how many pixels the grid takes, so that the curves beside it get what is left."""
    if config.text or _is_wide(config):
        return 560
    return _BETWEEN_PIXELS + _CELL_PIXELS * (config.input_length + 2 * config.output_length)


def summary(config: RunConfig, examples: Examples, snapshot: Snapshot | None) -> str:
    """How many windows and numbers are right, in a sentence."""
    number, shown = len(examples.inputs), _num_rows(examples)
    rows, tokens = ("pair", "word") if config.task == "pairs" else ("window", "word" if config.text else "number")
    more = f" (the first {'one is' if shown == 1 else f'{shown} are'} shown)" if number > shown else ""
    if snapshot is None:
        of = ("that it learns by heart" if config.task == "pairs" else
              "of your own words" if config.text else "of a sequence that training never sees")
        return f"{counted(number, rows)} {of}{more}."
    present = examples.present(config.vocab_size)
    right = (snapshot.predicted == examples.expected) & present
    return (f"Epoch {snapshot.epoch:,}: {int((right | ~present).all(axis=1).sum())} of {counted(number, rows)} right, "
            f"{int(right.sum())} of {counted(int(present.sum()), tokens)}{more}.")


def _num_rows(examples: Examples) -> int:
    numbers_in_a_row = int(examples.inputs.shape[1]) + 2 * int(examples.expected.shape[1])
    return min(len(examples.inputs), MAX_ROWS, max(3, MAX_NUMBERS // numbers_in_a_row))


def _is_wide(config: RunConfig) -> bool:
    return not config.text and config.input_length + 2 * config.output_length > WIDEST


def _head(config: RunConfig) -> str:
    if _is_wide(config):
        return ""  # stacked rows have their own labels
    inputs, outputs = (1, 1) if config.text else (config.input_length, config.output_length)
    return (f'<thead><tr><th colspan="{inputs}" scope="colgroup">Input</th><th></th>'
            f'<th colspan="{outputs}" scope="colgroup">Expected</th><th></th>'
            f'<th colspan="{outputs}" scope="colgroup">Predicted</th></tr></thead>')


def _row(config: RunConfig, examples: Examples, snapshot: Snapshot | None, k: int) -> str:
    asked = range(0) if config.task == "pairs" else TASKS[config.task](config, range(config.input_length))
    read = [_shown(config, number, "in echoed" if step in asked else "in")
            for step, number in enumerate(examples.inputs[k])]
    expected = [_shown(config, number) for number in examples.expected[k]]
    if snapshot is None:
        predicted = [_gap(config)] * (1 if config.text else config.output_length)
    else:
        predicted = [_predicted(config, int(answer), int(number), float(sure)) for answer, number, sure
                in zip(snapshot.predicted[k], examples.expected[k], snapshot.confidence[k], strict=True)]
    parts = ["".join(part) for part in (read, expected, predicted)]
    if config.text:  # with spaces, for copying and for screen readers
        parts = [f"<td>{' '.join(filter(None, part))}</td>" for part in (read, expected, predicted)]
    of = f' data-window="{k}" tabindex="-1"'  # so that a row can be picked
    if _is_wide(config):
        names = ("Input", "Expected", "Predicted")
        lines = [f'<th scope="row">{name}</th>{part}' for name, part in zip(names, parts, strict=True)]
        return f'<tr{of}>{lines[0]}</tr><tr{of}>{lines[1]}</tr><tr{of} class="last">{lines[2]}</tr>'
    return f'<tr{of}>{parts[0]}<td class="gap">→</td>{parts[1]}<td class="gap"></td>{parts[2]}</tr>'


def _shown(config: RunConfig, number: np.integer, kind: str = "") -> str:
    if number == config.vocab_size:
        return "" if config.text else _gap(config)
    tag = _WORD if config.text else _CELL
    opening = f'{tag} class="{kind}"' if kind else tag
    return f"<{opening}>{_name(config, number)}</{tag}>"


def _gap(config: RunConfig) -> str:
    tag = _WORD if config.text else _CELL
    return f'<{tag} class="gap">·</{tag}>'


def _predicted(config: RunConfig, answer: int, expected: int, sure: float) -> str:
    """One predicted number; nothing if nothing is expected there."""
    if expected == config.vocab_size:
        return "" if config.text else _gap(config)
    right, tag = answer == expected, _WORD if config.text else _CELL
    kind, sign = ("right", "✓") if right else ("wrong", "✗")
    if config.representation == "linear":
        hover, shade = f"{sure:.2f}, rounded", 1.0 - 2 * abs(sure - round(sure))
    else:
        hover, shade = f"{sure:.0%} sure", sure
    hover += "" if right else f"; expected {_name(config, expected)}"
    return (f'<{tag} class="{kind}" style="--sure:{8 + 37 * shade:.0f}%" title="{hover}">'
            f'{_name(config, answer)}<i>{sign}</i></{tag}>')


def _name(config: RunConfig, number: int | np.integer) -> str:
    """A number, its word, or a dot for padding, safe in HTML."""
    if number == config.vocab_size:
        return "·"
    return escape(config.vocabulary[number]) if config.text else str(number)
