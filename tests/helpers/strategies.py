"""Hypothesis strategies: visitors' texts, and configs of every kind."""

from hypothesis import settings
from hypothesis import strategies as st

from echo_core.config import RunConfig, divisors, sizes_of_text
from echo_core.config.compatibility import combinations
from echo_core.text import words as texts
from echo_core.text.words import ARROW, normalise, vocabulary, words

FIELDS = list(RunConfig.model_fields)
DEFAULTS = RunConfig().to_query()
PAIRS = "how are you ? => fine\nand you ? => fine too"

COMBINATIONS = list(combinations())
VARIANTS_IN_WORDS = ("'whole', 'encoder_decoder', 'padded', 'attention', 'one_to_one', 'many_to_one' "
                     "or 'no_memory'")


def fewer_examples(part: float) -> settings:
    """Settings for a test with slow examples: a fraction of the profile's number of examples."""
    chosen = settings()
    return settings(chosen, max_examples=max(1, round(part * chosen.max_examples)))


#: A word of any visible characters.
tokens = (st.text(st.characters(exclude_categories=("C", "Z")) | st.just("\u200d"), min_size=1, max_size=6)
          | st.sampled_from(["how", "are", "you", "?", "<b>", "1.0", "0", "zip:", "zip:eJw", "=", ">", "&text=", "#"])
          ).map(lambda text: "".join(words(normalise(text)))).filter(lambda token: token and ARROW not in token)
sides = st.lists(tokens, min_size=1, max_size=5).map(tuple)


@st.composite
def word_texts(draw):
    """A normalised row of words that can be trained on."""
    different = draw(st.lists(tokens, min_size=2, max_size=8, unique=True))
    more = draw(st.lists(st.sampled_from(different), max_size=30))
    shuffled = draw(st.permutations(different + more))
    return "".join(token + draw(st.sampled_from(" \n")) for token in shuffled).strip()


#: Normalised pairs that can be trained on.
pair_texts = st.lists(st.tuples(sides, sides), min_size=1, max_size=12).map(
    lambda rows: "\n".join(f"{' '.join(question)} {ARROW} {' '.join(answer)}" for question, answer in rows)
).filter(lambda text: len(vocabulary(text)) > 1)


#: Mostly usual lengths, and sometimes any length.
lengths = st.integers(1, 40) | st.integers(1, 100_000)


@st.composite
def configs(draw):
    """Any valid config: of every combination, of numbers, of words and of pairs."""
    chosen = draw(st.sampled_from(COMBINATIONS))
    if chosen["task"] == "pairs":
        sizes = sizes_of_text("pairs", text := draw(pair_texts))
        windows = sizes["batch_size"]
    else:
        text = draw(st.just("") | word_texts())
        longest = len(texts.words(text)) if text else 100_000
        read = min(draw(lengths), longest)
        sequence = min(read + draw(st.integers(0, 30) | st.integers(0, 100_000)), 100_000)
        is_lag = chosen["task"] == "lag"
        echo = read if is_lag or chosen["variant"] == "whole" else draw(st.integers(1, read))
        sequences = 1 if chosen["stateful"] else draw(st.integers(1, 8) | st.integers(1, 100_000))
        windows = sequences * (sequence + echo - 1 if chosen["missing"] == "mask" else sequence - read + 1)
        sizes = {
            "vocab_size": len(texts.vocabulary(text)) if text else draw(st.integers(2, 100_000)),
            "input_length": read, "sequence_length": sequence, "output_length": echo,
            "echo_start": draw(st.integers(0, read - echo)), "sequences_per_epoch": sequences,
            "lag": draw(st.integers(0, read - 1)) if is_lag else 0}
    batches = [size for size in divisors(windows) if size <= 10_000_000]
    return RunConfig(**{
        **chosen, **sizes, "text": text, "batch_size": draw(st.sampled_from(batches)),
        "units": draw(st.integers(1, 100_000)), "epochs": draw(st.integers(1, 10_000_000)),
        "seed": draw(st.integers(0, 2**31 - 1)), "learning_rate": draw(st.floats(0, 1, exclude_min=True)),
        "schedule": draw(st.sampled_from(["constant", "cosine"])),
        "clip_norm": draw(st.just(0.0) | st.floats(0, 1_000_000))})
