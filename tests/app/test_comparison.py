"""The table of a comparison stays readable, whatever runs stand beside each other."""

import re
from html import unescape

from echo_app.panels.comparison import differences
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.store import Store
from tests.helpers.samples import TINY


def compared(store: Store, *configs: RunConfig) -> tuple[list[str], list[list[str]], str]:
    """Heads, cells and HTML of the table of these runs."""
    runs = [store.runs.get(store.queue.request(config)) for config in configs]
    table = differences(runs, [f"{chr(ord('A') + place)} · {'x' * 50}" for place in range(len(runs))])
    rows = [[unescape(re.sub("<.*?>", "", cell)) for cell in re.findall("<td>(.*?)</td>", row)]
            for row in table.split("<tr>")[2:]]
    return re.findall("<th>(.*?)</th>", table), rows, table


def test_run_of_pairs_leaves_every_column_of_a_comparison_short(store: Store):
    pairs = PRESETS["pairs"].config
    heads, rows, table = compared(store, PRESETS["whole"].config, pairs)
    assert all(len(cell) <= 32 for row in rows for cell in row)
    assert heads[:6] == ["Line", "Run", "Windows right", "Numbers right", "Epochs trained", "Seconds"]
    assert heads[-1] == "Words"
    assert rows[0][-1] == "none"
    assert rows[1][-1] == "how are you ? => i'm fine what…"
    titles = [unescape(title) for title in re.findall('title="(.*?)"', table)]
    assert " ".join(pairs.text.split()) in titles


def test_settings_of_a_comparison_stand_in_the_words_of_the_controls(store: Store):
    other = TINY.model_copy(update={"variant": "attention", "cell": "simple_rnn", "learning_rate": 0.01,
                                    "stateful": False})
    heads, rows, _ = compared(store, TINY, other)
    assert dict(zip(heads[6:], zip(*(row[6:] for row in rows), strict=True), strict=True)) == {
        "Network": ("Encoder–decoder", "Attention"), "Cell": ("LSTM", "Simple RNN"), "Stateful": ("on", "off"),
        "Learning rate": ("0.001", "0.01")}


def test_what_a_visitor_typed_is_text_in_a_comparison_and_in_its_tooltips(store: Store):
    text = '<b>a</b> "> onclick= => <img src=x> ' + "y " * 40
    nasty = RunConfig(task="pairs", variant="attention", units=4, text=text)
    _, _, table = compared(store, TINY, nasty)
    assert "<b>" not in table
    assert "<img" not in table
    assert '"> onclick' not in table
