"""Names of settings on the page: the label of each control, and the title of each choice."""

from collections.abc import Mapping
from types import MappingProxyType

from echo_core.config.cells import CELLS
from echo_core.config.run_config import RunConfig, written
from echo_core.config.variants import VARIANTS

#: Titles of choices, by field and value.
TITLES: Mapping[str, Mapping[object, str]] = MappingProxyType({
    "task": {"echo": "Echo: say it again", "reverse": "Reverse: say it backwards",
             "pairs": "Pairs: questions of your own", "lag": "Lag: say it some steps later"},
    "variant": {name: f"{variant.title}: {variant.help}" for name, variant in VARIANTS.items()},
    "cell": {name: cell.title for name, cell in CELLS.items()},
    "representation": {"one_hot": "One-hot", "linear": "Scaled 0…1"},
    "missing": {"drop": "Drop", "mask": "Keep and mask"},
    "schedule": {"constant": "Constant", "cosine": "Cosine"},
})

#: Labels of controls that differ from their field's name.
_LABELS: Mapping[str, str] = MappingProxyType({
    "text": "Words", "variant": "Network", "representation": "Numbers as", "missing": "Rows with gaps",
    "echo_start": "Echo from", "sequence_length": "Sequence", "vocab_size": "Vocabulary",
    "sequences_per_epoch": "Sequences", "learning_rate": "Rate"})


def label_of(field: str) -> str:
    """The label of a field's control: `learning_rate -> Rate`."""
    return _LABELS.get(field, field.replace("_", " ").capitalize())


def value_in_words(config: RunConfig, field: str) -> str:
    """The value of a field as its control shows it, on one line and without the explanation of a choice."""
    value = getattr(config, field)
    title = TITLES.get(field, {}).get(value)
    if title:
        return title.split(":")[0]
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(written(value).split())
