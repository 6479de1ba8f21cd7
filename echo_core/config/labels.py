"""Words of the page: the label of each control, the title of each choice, and what a run is called by them."""

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from types import MappingProxyType

from echo_core.config.cells import CELLS
from echo_core.config.presets import NEAR, PRESETS, changes
from echo_core.config.run_config import RunConfig, written
from echo_core.config.sizes import sizes_of_text
from echo_core.config.variants import VARIANTS
from echo_core.text.plurals import shortened

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
    "text": "Words", "variant": "Network", "representation": "Number encoding", "missing": "Incomplete windows",
    "echo_start": "Echo from", "vocab_size": "Vocabulary"})
#: Characters of a value in the name of a run, and the settings that tell most runs apart.
_LONGEST_VALUE, _FIRST = 40, ("seed", "units", "epochs")
#: Settings that a preset's title speaks of.
_IN_TITLES = {"task", "variant", "representation", "input_length", "output_length", "lag"}


def label_of(field: str) -> str:
    """The label of a field's control: `learning_rate -> Learning rate`."""
    return _LABELS.get(field, field.replace("_", " ").capitalize())


def help_of(field: str) -> str:
    """The description of a field in the words of the page: titles of choices in place of their values."""
    def title(found: re.Match[str]) -> str:
        of_field = TITLES.get(field, {}).get(found[1]) or TITLES["task"].get(found[1])
        return f"*{of_field.split(':')[0]}*" if of_field else found[0]

    return re.sub("`([a-z_]+)`", title, RunConfig.model_fields[field].description or "")


def value_in_words(config: RunConfig, field: str) -> str:
    """The value of a field as its control shows it, on one line and without the explanation of a choice."""
    value = getattr(config, field)
    title = TITLES.get(field, {}).get(value)
    if title:
        return title.split(":")[0]
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(written(value).split())


@lru_cache(maxsize=256)
def _nearest_of_its_kind(config: RunConfig) -> tuple[str | None, Mapping[str, object]]:
    """The nearest preset whose title is true of a run, and the settings that differ; None if there is none."""
    found = {name: changes(config, preset.config) for name, preset in PRESETS.items()}
    alike = {name: differing for name, differing in found.items()
             if len(differing) <= NEAR and not differing.keys() & _IN_TITLES}
    return min(alike.items(), key=lambda one: len(one[1]), default=(None, {}))


def name_in_words(config: RunConfig, among: Collection[str] = tuple(RunConfig.model_fields)) -> str:
    """What pages call a run: `Quick partial echo, units 32`.

    It is the title of the nearest preset of its kind, or of the network where none is near, and the settings that
    differ.

    Args:
        among: The only settings that are named.
    """
    preset, differing = _nearest_of_its_kind(config)
    if preset is None:
        follow = sizes_of_text(config.task, config.text) if config.text else {}
        differing = {field: value for field, value in changes(config, RunConfig()).items()
                     if field != "variant" and field not in follow}
    title = re.sub(r" \(.*\)$", "", PRESETS[preset].title) if preset else VARIANTS[config.variant].title
    named = sorted((field for field in differing if field in among), key=lambda field: field not in _FIRST)
    return ", ".join([title, *(f"{label_of(field).lower()} {shortened(value_in_words(config, field), _LONGEST_VALUE)}"
                               for field in named)])
