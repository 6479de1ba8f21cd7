"""A run's curves as an SVG, written from a table without a library."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import pandas as pd

from echo_core.config import RunConfig
from echo_core.config.presets import short_name
from echo_core.text.plurals import shortened

_WIDTH, _HEIGHT, _LEFT, _TOP, _BETWEEN = 900, 410, 70, 94, 90
_PANEL_WIDTH, _PANEL_HEIGHT = (_WIDTH - 2 * _LEFT - _BETWEEN + 40) / 2, _HEIGHT - _TOP - 70
_LONGEST = 94
_LINE, _INK, _GRID = "#0072B2", "#333333", "#DDDDDD"


def picture(config: RunConfig, curve: pd.DataFrame, said: str = "") -> str:
    """Loss and accuracy beside each other, with the loss of pure guessing, as an SVG.

    Args:
        curve: As `tables.curve` returns it.
        said: A line below the title, such as the run's score.
    """
    losses = curve["loss"].dropna()
    top = max(config.chance_loss, float(losses.max()) if len(losses) else 0.0)
    second, title = _LEFT + _PANEL_WIDTH + _BETWEEN, shortened(short_name(config), _LONGEST)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="13" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="15" font-weight="bold">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="50">{escape(said)}</text>',
        *_panel(_LEFT, config.epochs, curve["epoch"], curve["loss"], ticks_up_to(top), "Loss", "{:g}".format),
        *_panel(second, config.epochs, curve["epoch"], curve["accuracy"], [0, 0.25, 0.5, 0.75, 1.0], "Numbers right",
                "{:.0%}".format),
        *_chance(config.chance_loss, ticks_up_to(top)[-1]),
        "</svg>"]
    return "\n".join(parts) + "\n"


def _panel(left: float, epochs: int, x: Iterable[float], y: Iterable[float], ticks: Sequence[float], title: str,
           written: Callable[[float], str]) -> list[str]:
    """One curve with its axes; a NaN interrupts the line."""
    bottom, top = _TOP + _PANEL_HEIGHT, ticks[-1]
    parts = [f'<text x="{left:g}" y="{_TOP - 10}" font-weight="bold">{title}</text>']
    for tick in ticks:
        at = bottom - _PANEL_HEIGHT * tick / top
        parts += [f'<line x1="{left:g}" x2="{left + _PANEL_WIDTH:g}" y1="{at:.1f}" y2="{at:.1f}" stroke="{_GRID}"/>',
                  f'<text x="{left - 8:g}" y="{at + 4:.1f}" text-anchor="end">{written(tick)}</text>']
    for tick in ticks_up_to(epochs):
        if tick <= epochs:
            at = left + _PANEL_WIDTH * tick / epochs
            parts.append(f'<text x="{at:.1f}" y="{bottom + 20:g}" text-anchor="middle">{tick:,.0f}</text>')
    parts.append(f'<text x="{left + _PANEL_WIDTH / 2:g}" y="{bottom + 42:g}" text-anchor="middle">Epoch</text>')
    line, pen = [], "M"
    for epoch, value in zip(x, y, strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        line.append(f"{pen}{left + _PANEL_WIDTH * epoch / epochs:.1f} "
                    f"{bottom - _PANEL_HEIGHT * min(max(value, 0), top) / top:.1f}")
        pen = "L"
    parts.append(f'<path d="{" ".join(line)}" fill="none" stroke="{_LINE}" stroke-width="2"/>')
    return parts


def _chance(chance: float, top: float) -> list[str]:
    at = _TOP + _PANEL_HEIGHT * (1 - chance / top)
    return [f'<line x1="{_LEFT}" x2="{_LEFT + _PANEL_WIDTH:g}" y1="{at:.1f}" y2="{at:.1f}" stroke="#777777" '
            'stroke-dasharray="5 4"/>',
            f'<text x="{_LEFT + _PANEL_WIDTH:g}" y="{at - 6:.1f}" text-anchor="end" fill="#777777">pure guessing'
            '</text>']


def ticks_up_to(top: float) -> list[float]:
    """Four to eight round numbers from 0, the last one at or above `top`."""
    power = 10.0 ** math.floor(math.log10(top))
    step = next(step for step in (0.1, 0.2, 0.25, 0.5, 1, 2) if top <= 6 * step * power) * power
    return [step * k for k in range(math.ceil(top / step - 1e-9) + 1)]
