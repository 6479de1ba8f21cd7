"""A sequence as the network gets it: each number a row of zeros with a single one, as HTML."""

from collections.abc import Sequence
from html import escape

#: Rows that are drawn at most, and cells from which a row has no lines between them.
MAX_ROWS, _MAX_LINES = 25, 250

STYLE = """<style>
.echo-one-hot { overflow-x: auto; font-size: 0.75rem; font-variant-numeric: tabular-nums; margin: 0.25rem 0 0.75rem; }
.echo-one-hot div { display: grid; grid-template-columns: minmax(2.4rem, max-content) 1fr; gap: 0 0.5rem;
  align-items: center; }
.echo-one-hot em { font-style: normal; text-align: right; font-weight: 600; max-width: 12ch; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.echo-one-hot i { position: relative; display: block; height: 13px; margin-bottom: 1px; border-radius: 2px;
  background-color: color-mix(in srgb, currentColor 9%, transparent); }
.echo-one-hot u { position: absolute; top: 0; bottom: 0; min-width: 3px; border-radius: 1px; text-decoration: none;
  background: #E69F00; }
.echo-one-hot .scale { opacity: 0.75; }
.echo-one-hot .scale i { background: none; height: 1.1rem; }
.echo-one-hot .scale span { position: absolute; transform: translateX(-50%); }
</style>"""


def one_hot(numbers: Sequence[int], names: Sequence[str]) -> str:
    """Rows of cells, empty for 0 and filled for 1.

    Args:
        names: What stands for each number of the vocabulary: itself, or a word that a visitor typed.
    """
    size = len(names)
    line = "color-mix(in srgb, currentColor 28%, transparent)"
    lines = (f"background-image:linear-gradient(90deg,{line} 1px,transparent 1px);"
             f"background-size:{100 / size:.4f}% 100%" if size <= _MAX_LINES else "")
    rows = "".join(
        f'<div><em>{escape(names[number])}</em><i style="{lines}">'
        f'<u style="left:{100 * number / size:.4f}%;width:{100 / size:.4f}%"></u></i></div>'
        for number in numbers[:MAX_ROWS])
    step = max(1, -(-size // 10))
    scale = "".join(f'<span style="left:{100 * (number + 0.5) / size:.4f}%">{escape(names[number])}</span>'
                    for number in range(0, size, step))
    alt = f"The first {len(numbers[:MAX_ROWS])} numbers as rows of {size} zeros with a single one"
    return (f'{STYLE}<div class="echo-one-hot" role="img" aria-label="{alt}">'
            f'<div class="scale"><em></em><i>{scale}</i></div>{rows}</div>')
