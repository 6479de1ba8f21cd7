import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from echo_app.grid import MAX_ROWS, grid, summary
from echo_core.records import Snapshot

WINDOWS = np.array([[1, 2, 3], [2, 3, 4]])


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
