import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from echo_app.charts import grid as grid_module
from echo_app.charts.grid import MAX_ROWS
from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.data import Examples, text_examples
from echo_core.records import Snapshot
from tests.helpers.samples import small

WINDOWS = np.array([[1, 2, 3], [2, 3, 4]])


def framed(windows: np.ndarray, output_length: int) -> tuple[RunConfig, Examples]:
    config = RunConfig(variant="encoder_decoder", input_length=windows.shape[1], output_length=output_length,
                       batch_size=1)
    return config, Examples(windows, windows[:, :output_length])


def grid(windows: np.ndarray, output_length: int, snapshot: Snapshot | None) -> str:
    return grid_module.grid(*framed(windows, output_length), snapshot)


def summary(windows: np.ndarray, output_length: int, snapshot: Snapshot | None) -> str:
    return grid_module.summary(*framed(windows, output_length), snapshot)


def snapshot(predicted: list[list[int]], confidence: float = 0.5) -> Snapshot:
    answers = np.array(predicted, np.int32)
    return Snapshot(7, answers, np.full(answers.shape, confidence, np.float32))


def rows(html: str) -> list[list[str]]:
    """The text of each body row's cells."""
    body = html.split("<tbody>")[1]
    return [re.sub(r"<[^>]*>", " ", row).split() for row in body.split("</tr>")[:-1]]


def test_each_row_has_input_expected_and_predicted_with_a_sign():
    assert rows(grid(WINDOWS, 2, snapshot([[1, 2], [2, 9]]))) == [
        ["1", "2", "3", "→", "1", "2", "1", "✓", "2", "✓"],
        ["2", "3", "4", "→", "2", "3", "2", "✓", "9", "✗"]]


def test_before_training_there_is_the_question_and_no_answer():
    html = grid(WINDOWS, 2, None)
    assert rows(html)[0] == ["1", "2", "3", "→", "1", "2", "·", "·"]
    assert "✓" not in html
    assert "✗" not in html


def test_hovering_says_how_sure_it_was_and_what_was_expected():
    html = grid(WINDOWS, 1, snapshot([[1], [9]], confidence=0.934))
    assert 'title="93% sure"' in html
    assert 'title="93% sure; expected 2"' in html


def test_more_confidence_is_more_colour():
    shades = [int(re.search(r"--sure:(\d+)%", grid(WINDOWS, 1, snapshot([[1], [2]], sure))).group(1))
              for sure in (0.01, 0.5, 1.0)]
    assert shades == sorted(set(shades))


def test_the_caption_counts_windows_and_numbers():
    assert summary(WINDOWS, 2, snapshot([[1, 2], [2, 9]])) == "Epoch 7: 1 of 2 windows right, 3 of 4 numbers."


def test_a_long_sequence_is_cut_and_says_so():
    windows = np.zeros((MAX_ROWS + 5, 3), int)
    html = grid(windows, 1, None)
    assert len(rows(html)) == MAX_ROWS
    assert f"the first {MAX_ROWS} are shown" in html


@given(st.data())
def test_signs_agree_with_a_plain_count(data: st.DataObject):
    count, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    draw = np.random.default_rng(data.draw(st.integers(0, 1000))).integers
    windows, answers = draw(0, 3, (count, 5)), draw(0, 3, (count, width))
    html = grid(windows, width, snapshot(answers.tolist()))
    right = sum(int(answers[i, j] == windows[i, j]) for i in range(count) for j in range(width))
    assert (html.count("✓"), html.count("✗")) == (right, count * width - right)


def test_where_nothing_is_expected_nothing_is_marked():
    config = small(variant="encoder_decoder", missing="mask")
    examples = Examples(np.array([[7, 7, 1], [1, 2, 3]]), np.array([[7, 1], [1, 2]]))
    html = grid_module.grid(config, examples, snapshot([[5, 1], [7, 2]]))
    assert rows(html) == [["·", "·", "1", "→", "·", "1", "·", "1", "✓"],
                          ["1", "2", "3", "→", "1", "2", "·", "✗", "2", "✓"]]
    assert "1 of 2 windows right, 2 of 3 numbers" in html


def test_the_block_that_is_asked_for_is_bold():
    config = small(variant="encoder_decoder", echo_start=1)
    html = grid_module.grid(config, Examples(np.array([[4, 5, 6]]), np.array([[5, 6]])), None)
    assert re.findall(r'class="in( echoed)?">(\d)', html) == [("", "4"), (" echoed", "5"), (" echoed", "6")]


def test_words_are_shown_as_they_were_typed_and_never_as_html():
    typed = '<b>bold</b> & "x" => <script>alert(1)</script>\nyou => me'
    config = RunConfig(task="pairs", variant="attention", text=typed)
    html = grid_module.grid(config, text_examples(config), snapshot([[0], [0]]))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html
    assert "<b>" not in html
    assert "0 of 2 pairs right" in html
    title = re.search(r'title="([^"]*)"', html).group(1)
    assert "expected" in title


def test_hovering_over_a_scaled_number_says_what_it_was_before_it_was_rounded():
    config = small(variant="many_to_one", representation="linear")
    sure = Snapshot(7, np.array([[3, 2]], np.int32), np.array([[3.05, 2.45]], np.float32))
    html = grid_module.grid(config, Examples(np.array([[3, 5, 6]]), np.array([[3, 5]])), sure)
    assert 'title="3.05, rounded"' in html
    assert 'title="2.45, rounded; expected 5"' in html


def test_legend_says_what_signs_shades_and_bold_numbers_mean():
    text = re.sub("<[^>]*>", "", grid_module.legend(small(variant="encoder_decoder")))
    for words in ("bold: must come back", "✓ right", "✗ wrong", "surer"):
        assert words in text
    assert "bold" not in grid_module.legend(small(task="pairs", variant="attention"))
    assert "nearer to it" in grid_module.legend(small(representation="linear"))


def test_grid_of_a_short_echo_leaves_the_curves_more_room_than_one_of_twenty_numbers():
    quick, twenty = (grid_module.width(PRESETS[name].config) for name in ("quick", "attention_20"))
    assert quick < 350 < 500 < twenty


def test_long_windows_are_stacked_so_that_the_answer_is_not_out_of_sight():
    windows = np.arange(2 * 9).reshape(2, 9)
    html = grid(windows, 9, snapshot(windows.tolist()))
    assert rows(html)[:3] == [["Input", *map(str, range(9))], ["Expected", *map(str, range(9))],
                              ["Predicted", *(part for number in range(9) for part in (str(number), "✓"))]]
    assert len(rows(html)) == 2 * 3
    assert "<thead>" not in html
