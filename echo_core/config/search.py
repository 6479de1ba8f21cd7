"""The search for runs: by the words that pages show for them, and by their settings.

A query is words and settings, and all of them must fit: `quick`, `attention`, `pairs 64 units`, `units=64 seed=3`. A
word fits wherever it stands in a run's name, titles or state; a setting fits its exact value. Case does not count.
"""

import re
import unicodedata
from dataclasses import dataclass

from echo_core.config import RunConfig, written
from echo_core.config.labels import TITLES, label_of, name_in_words
from echo_core.config.presets import PRESETS, nearest, short_name

#: The beginning of a `run_id` counts from this many characters on: shorter ones fit too many runs by chance.
_LEAST_OF_AN_ID = 4
#: Choices that are shown for each run; others where they are not the default.
_NAMED_ALWAYS = ("task", "variant", "cell")
_DASHES = str.maketrans(dict.fromkeys("-‐‑–—", "_"))


@dataclass(frozen=True)
class Description:
    """The searchable text of a run, folded. It depends neither on its state nor on the visitor.

    Attributes:
        shown: Words that pages show of it.
        settings: Each field and value between spaces: ` units=64 seed=3 `.
    """

    shown: str
    settings: str


@dataclass(frozen=True)
class _Setting:
    """A setting in a query: as `Description.settings` has it, and as it was typed.

    A title may look like one, such as `Lag: say it some steps later`. A number is never looked for in titles, where
    `units=6` would find `units=64`.
    """

    exact: str
    typed: str
    is_number: bool


def fold(text: str) -> str:
    """Text in the form in which texts are compared: without case, and with one code for each character."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def describe(config: RunConfig) -> Description:
    """The searchable text of a run with these settings."""
    preset = nearest(config)[0]
    shown = [short_name(config), name_in_words(config), *([PRESETS[preset].title] if preset else [])]
    for field, titles in TITLES.items():
        value = getattr(config, field)
        if field in _NAMED_ALWAYS or value != RunConfig.model_fields[field].default:
            shown += [written(value), titles[value]]
    settings = " ".join(f"{field}={_canonical(written(value))}" for field, value in config if field != "text")
    return Description(_words(" ".join(shown)), f" {settings} ")


class Query:
    """A search query, parsed once for all runs."""

    def __init__(self, text: str) -> None:
        self._settings: list[_Setting] = []
        rest = _SETTING.sub(self._take, fold(text))
        self._parts = [_words(word) for word in re.split(r"[\s,;]+", rest) if word]

    def _take(self, found: re.Match[str]) -> str:
        name, value = next((found[name], found[value]) for name, value in _GROUPS if found[name])
        field = _FIELDS[re.sub(r"[\s_]+", " ", name)]
        is_number = re.fullmatch(_NUMBER, value) is not None
        self._settings.append(_Setting(f" {field}={_canonical(value)} ", _words(found[0]), is_number))
        return " "

    def fits(self, run_id: str, state: str, name: str | None, description: Description) -> bool:
        """Whether a run fits the query; `name` is the visitor's name for it."""
        own = _words(fold(name or ""))
        shown = f"{own} {description.shown} {state}"
        return all(setting.exact in description.settings or setting.typed in (own if setting.is_number else shown)
                   for setting in self._settings) and all(
            word in shown or (len(word) >= _LEAST_OF_AN_ID and run_id.startswith(word)) for word in self._parts)


def _words(text: str) -> str:
    """Folded text in which all dashes and underscores are the same character."""
    return fold(text).translate(_DASHES)


def _canonical(value: str) -> str:
    """A value as it is compared: `5,000` is `5000`, and `1e-3` is `0.001`."""
    try:
        return f"{float(value.replace(',', '')):.12g}"
    except ValueError:
        return fold(value)


#: Each name of a setting, folded and with spaces, with its field.
_FIELDS = {fold(name).replace("_", " "): field for field in RunConfig.model_fields if field != "text"
           for name in (field, label_of(field))}
_NAME = "|".join(name.replace(" ", r"[\s_]+") for name in sorted(_FIELDS, key=len, reverse=True))
_NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_GROUPS = (("equals", "equals_value"), ("before", "before_value"), ("after", "after_value"))
#: `units=64`, `units: 64`, `units 64` and `64 units`.
_SETTING = re.compile(
    rf"(?<![^\s,;])(?:(?P<equals>{_NAME})\s*[=:]\s*(?P<equals_value>[^\s,;]+(?:,\d{{3}}(?!\d))*)"
    rf"|(?P<before>{_NAME})\s+(?P<before_value>{_NUMBER})|(?P<after_value>{_NUMBER})\s+(?P<after>{_NAME}))(?![^\s,;])")
