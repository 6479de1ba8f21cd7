"""A network's answer to one question as HTML: at each place the answer, and the likeliest ones with probabilities."""

from html import escape

from echo_app.charts.curves import RIGHT, WRONG
from echo_core.evaluation.asking import Place, Reply, Token

STYLE = f"""<style>
.echo-answer {{ display: flex; flex-wrap: wrap; gap: 0.5rem; list-style: none; margin: 0 !important;
  padding: 0 !important; }}
.echo-answer > li {{ flex: 1 1 6.5rem; max-width: 15rem; margin: 0; padding: 0.15rem 0.5rem 0.3rem; line-height: 1.4;
  border-radius: 6px; border: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  font-variant-numeric: tabular-nums; }}
.echo-answer.many {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(3.7rem, 1fr)); gap: 0.25rem; }}
.echo-answer.many > li {{ padding: 0 0.1rem 0.1rem 0.15rem; line-height: 1.3; }}
.echo-answer.many .said {{ font-size: 1rem; }}
.echo-answer.many small {{ display: block; font-size: 0.66rem; line-height: 1.2; overflow-wrap: anywhere; }}
.echo-answer.many ol {{ font-size: 0.7rem; margin: 0; }}
.echo-answer.many ol li {{ gap: 0.2rem; padding: 0 2px; margin: 0 0 1px; line-height: 1.25; font-size: inherit; }}
.echo-answer .said {{ font-size: 1.3rem; font-weight: 600; overflow-wrap: anywhere; }}
.echo-answer i {{ font-style: normal; }}
.echo-answer .right i {{ color: {RIGHT}; }}
.echo-answer .wrong i {{ color: {WRONG}; }}
.echo-answer ol {{ list-style: none; margin: 0.2rem 0 0; padding: 0; font-size: 0.8rem; }}
.echo-answer ol li {{ display: flex; justify-content: space-between; gap: 0.5rem; margin: 0 0 2px; padding: 0 4px;
  border-radius: 3px; background: linear-gradient(to right, color-mix(in srgb, currentColor 18%, transparent)
  var(--share), transparent var(--share)); }}
.echo-answer ol span:first-child {{ overflow: hidden; text-overflow: ellipsis; }}
</style>"""

#: With more places than this their cards are small, so that all of them are in sight.
_MANY = 5


def answer(reply: Reply) -> str:
    """One card for each place of an answer."""
    expected = reply.expected or (None,) * len(reply.places)
    cards = [_card(number, place, wanted) for number, (place, wanted)
             in enumerate(zip(reply.places, expected, strict=True), 1)]
    kind = "echo-answer many" if len(cards) > _MANY else "echo-answer"
    return f'<ul class="{kind}" aria-label="The answer, place by place">{"".join(cards)}</ul>'


def _card(number: int, place: Place, expected: Token | None) -> str:
    right = None if expected is None else place.answer == expected
    kind, sign = {None: ("open", ""), True: ("right", " <i>✓</i>"), False: ("wrong", " <i>✗</i>")}[right]
    wanted = f", expected {escape(str(expected))}" if right is False else ""
    if place.before_rounding is not None:
        below = f"<small>{place.before_rounding:.2f}, rounded</small>"
    else:
        below = "".join(f'<li style="--share:{choice.probability:.1%}"><span>{escape(str(choice.answer))}</span>'
                        f"<span>{_share(choice.probability)}</span></li>" for choice in place.likeliest)
        below = f'<ol aria-label="The likeliest answers">{below}</ol>'
    return (f'<li class="{kind}"><span class="said">{escape(str(place.answer))}{sign}</span> '
            f"<small>place {number}{wanted}</small>{below}</li>")


def _share(probability: float) -> str:
    """A probability in percent that is 100 only if it is 1 to three digits, and 0 only if it is less than 0.1."""
    return f"{100 * probability:.1f} %" if 0.0005 <= probability < 0.9995 else f"{100 * probability:.0f} %"
