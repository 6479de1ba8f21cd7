"""Settings worth starting from, good and bad, each with a sentence on what to watch for."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from echo_core.config.run_config import RunConfig, written
from echo_core.text.plurals import shortened

#: A dozen pairs to begin with; the first is the one that a reader of the tutorial asked for.
SAMPLE_PAIRS = """\
how are you ? => i'm fine
what is your name ? => call me echo
where do you live ? => in a small box
do you like numbers ? => yes , all hundred
what can you do ? => i can repeat things
who made you ? => a tutorial did
are you clever ? => not very
can you count ? => up to ninety nine
what is a gate ? => something that opens
do you forget ? => only when i must
will you remember me ? => of course i will
good night ! => sleep well"""


#: Fields in which a run may differ from a preset and still be called by it.
NEAR = 3


class Contrast(NamedTuple):
    """Another preset, which makes clear what one is about, and what it shows."""

    preset: str
    shows: str


class Preset(NamedTuple):
    """A config worth starting from, with a sentence on what to watch for."""

    title: str
    watch_for: str
    config: RunConfig
    contrast: Contrast | None = None


def _encoder_decoder(**settings: Any) -> RunConfig:
    """Stateless, with several sequences an update, which learns faster than the tutorial's settings."""
    base = {"variant": "encoder_decoder", "stateful": False, "sequences_per_epoch": 8}
    probe = RunConfig(**{**base, **settings, "batch_size": 1})
    return RunConfig(**{**base, **settings, "batch_size": probe.num_windows})


PRESETS: Mapping[str, Preset] = MappingProxyType({
    "whole": Preset(
        "Whole echo (tutorial)",
        "The network answers while it reads, so it needs no memory at all. Watch every window turn right "
        "long before the loss is small.",
        RunConfig(), Contrast("quick", "partial echo has to remember")),
    "partial": Preset(
        "Partial echo (tutorial)",
        "The same task as *Quick partial echo*, with the tutorial's settings. Watch the first number come back, then "
        "the second, over thousands of epochs.",
        RunConfig(variant="encoder_decoder", output_length=2, units=150, batch_size=21, epochs=5000)),
    "quick": Preset(
        "Quick partial echo",
        "The network reads five numbers, and only then says the first two. Watch the first number come back, then the "
        "second.",
        _encoder_decoder(output_length=2, units=64, epochs=800, learning_rate=0.01),
        Contrast("whole", "whole echo needs no memory")),
    "partial_5": Preset(
        "Echo all five from memory",
        "All five numbers must survive in one state: 33 bits. Watch how much longer it takes than two of five, and the "
        "last windows turn right only when the learning rate has fallen.",
        _encoder_decoder(output_length=5, sequence_length=16, sequences_per_epoch=4, units=128, epochs=12_000,
                         learning_rate=0.01, schedule="cosine", clip_norm=1)),
    "attention_20": Preset(
        "Echo twenty with attention",
        "The decoder may look back at everything that was read. Watch it find out where to look: all twenty turn "
        "right at about the same time.",
        _encoder_decoder(variant="attention", input_length=20, output_length=20, sequence_length=31, units=128,
                         sequences_per_epoch=4, epochs=2000, learning_rate=0.005, schedule="cosine", clip_norm=1),
        Contrast("ten_without_attention", "ten are too many without attention")),
    "published": Preset(
        "Attention, 5,000 examples (Brownlee: 96 %)",
        "Two of five from 50 numbers, learnt from 5,000 single windows: Brownlee, the tutorial's author, reports 23 % "
        "without attention and 96 % with it. Watch what a higher learning rate that falls to zero makes of them.",
        RunConfig(variant="attention", vocab_size=50, sequence_length=5, output_length=2, units=150, stateful=False,
                  batch_size=1, epochs=5000, learning_rate=0.005, schedule="cosine", clip_norm=1)),
    "reverse_10": Preset(
        "Reverse ten with attention",
        "What was read last must be said first. Watch the attention learn to walk backwards.",
        _encoder_decoder(task="reverse", variant="attention", input_length=10, output_length=10, sequence_length=21,
                         sequences_per_epoch=4, units=128, epochs=2000, learning_rate=0.005, schedule="cosine",
                         clip_norm=1),
        Contrast("ten_without_attention", "ten are too many without attention")),
    "lag": Preset(
        "Two steps behind",
        "At every step it must say the number that it read two steps before, so its memory works like a queue. Watch "
        "all places turn right at about the same time: each number has to be held for two steps.",
        RunConfig(task="lag", lag=2, input_length=6, output_length=6, sequence_length=15, units=128, stateful=False,
                  sequences_per_epoch=8, batch_size=80, epochs=2000, learning_rate=0.005, schedule="cosine",
                  clip_norm=1)),
    "padded": Preset(
        "Padded echo",
        "One network, as in whole echo, but it has to wait: three paddings first, then the echo. Watch it learn the "
        "paddings at once, and the two numbers only when it has learnt to remember.",
        _encoder_decoder(variant="padded", output_length=2, units=64, epochs=2000, learning_rate=0.01,
                         schedule="cosine", clip_norm=1)),
    "one_to_one": Preset(
        "All timesteps at once",
        "The five numbers arrive side by side in one step, so there is nothing to remember. Watch how an LSTM learns "
        "when it is used as a plain layer.",
        _encoder_decoder(variant="one_to_one", output_length=2, units=64, epochs=1500, learning_rate=0.01,
                         schedule="cosine")),
    "many_to_one": Preset(
        "The answer as one vector",
        "It reads number by number and answers with one long vector, all numbers at once. Watch it do without a "
        "decoder.",
        _encoder_decoder(variant="many_to_one", output_length=2, units=64, epochs=1500, learning_rate=0.01,
                         schedule="cosine")),
    "pairs": Preset(
        "Questions and answers",
        "A dozen pairs of question and answer, learnt by heart: it is judged on what it was trained on. Watch the "
        "words fall into place, then ask for pairs of your own.",
        RunConfig(task="pairs", text=SAMPLE_PAIRS, variant="attention", units=64, epochs=600, learning_rate=0.01)),
    "too_small": Preset(
        "Too small (fails)",
        "Six values have to hold two numbers out of a hundred. Watch the loss stop falling: training "
        "finds a way to keep a rough idea of them, and no more.",
        _encoder_decoder(output_length=2, units=6, epochs=2000, learning_rate=0.01),
        Contrast("quick", "64 values learn to hold two numbers")),
    "ten_without_attention": Preset(
        "Ten of ten without attention (fails)",
        "66 bits through one state. Watch the loss come to rest far from zero: one number in five or six comes back, "
        "and never all ten.",
        _encoder_decoder(input_length=10, output_length=10, sequence_length=21, sequences_per_epoch=4, units=128,
                         epochs=2000, learning_rate=0.005, schedule="cosine", clip_norm=1),
        Contrast("attention_20", "with attention even twenty come back")),
    "linear": Preset(
        "Numbers by size (fails)",
        "The numbers are scaled to 0…1 and guessed by how large they are. Watch the guesses come near and "
        "hardly ever be exact.",
        _encoder_decoder(output_length=2, units=64, epochs=2000, learning_rate=0.003, representation="linear")),
    "no_memory": Preset(
        "No memory (fails)",
        "One dense layer sees a single number at a time: the one that is read when the answer is due. Watch it stay at "
        "pure guessing. It solves whole echo, which therefore needs no memory.",
        _encoder_decoder(variant="no_memory", output_length=2, epochs=500, learning_rate=0.01),
        Contrast("quick", "an LSTM can hold both numbers")),
})

#: The preset of a first visit: a network that has to remember.
FIRST = "quick"


def short_name(config: RunConfig) -> str:
    """The name of the nearest preset, or else the variant, with the fields that differ from it."""
    name, changed = nearest(config)
    if name is None:
        changed = {field: value for field, value in changes(config, RunConfig()).items() if field != "variant"}
    elif set(changed) <= {"seed"}:
        return f"{name}, seed {config.seed}"
    return ", ".join([name or config.variant, *(
        f"{field}={shortened(' '.join(written(value).split()), 24)}" for field, value in changed.items())])


@lru_cache(maxsize=64)
def nearest(config: RunConfig) -> tuple[str | None, Mapping[str, object]]:
    """The preset that differs in the fewest fields, and those fields; None if more than `NEAR` differ."""
    by_preset = {name: changes(config, preset.config) for name, preset in PRESETS.items()}
    name, changed = min(by_preset.items(), key=lambda found: len(found[1]))
    return (name, changed) if len(changed) <= NEAR else (None, {})


def changes(config: RunConfig, other: RunConfig) -> dict[str, object]:
    """The fields in which a run differs from another one, with its own values."""
    others = vars(other)  # `getattr` takes three times as long, and a search compares thousands of runs
    return {name: value for name, value in vars(config).items() if value != others[name]}


def differing(configs: Sequence[RunConfig]) -> list[str]:
    """The fields in which some of these differ."""
    return [name for name in RunConfig.model_fields if len({getattr(config, name) for config in configs}) > 1]
