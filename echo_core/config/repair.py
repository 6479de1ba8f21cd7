"""Settings from people and links: parsed, explained if they break a rule, or repaired."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from echo_core.config.compatibility import network_for, refusal
from echo_core.config.fields import LARGEST
from echo_core.config.presets import SAMPLE_PAIRS
from echo_core.config.run_config import RunConfig, check_text, written
from echo_core.config.sizes import by_nearness, sizes_of_text
from echo_core.config.variants import VARIANTS
from echo_core.text import words as texts
from echo_core.text.plurals import shortened

#: The largest file with settings, in bytes. A file with the longest text has about 5 kB.
MAX_FILE_BYTES = 2**20
#: The number of unknown settings that a message names.
_MAX_NAMES = 3


def settings_from_json(data: bytes) -> dict[str, object]:
    """The settings in a file that was saved with Share. A field that is null keeps its default, so it is left out.

    Raises:
        ValueError: If the file is too long, or is not one JSON object of plain values.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"A file with settings must have at most {MAX_FILE_BYTES:,} bytes; this one has "
                         f"{len(data):,}. Try a file that was saved with Share.")
    try:
        found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):  # json recurses into brackets, and refuses numbers with thousands of digits
        found = None
    if not isinstance(found, dict) or any(isinstance(value, dict | list) for value in found.values()):
        raise ValueError("A file with settings must be one JSON object of plain values; this one cannot be read. "
                         "Try a file that was saved with Share.")
    return {name: value for name, value in found.items() if value is not None}


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object as a dict. Raises ValueError if a name occurs twice; Python would keep the last value."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("names must differ")
    return dict(pairs)


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """`["units=64", "seed=3"] -> {"units": "64", "seed": "3"}`.

    Raises:
        ValueError: Without a `=`, or if a field is given twice.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"a setting must be FIELD=VALUE; received {_show(pair)}. Try units=64.")
        name, value = name.strip(), value.strip() or value  # a later rule refuses blanks alone
        if name in settings:
            raise ValueError(f"{_show(name)} must be set once; received {_show(settings[name])} and {_show(value)}. "
                             "Try only the one that you mean.")
        settings[name] = value
    return settings


def with_settings(begin: RunConfig, settings: Mapping[str, object]) -> RunConfig:
    """A config with some settings changed and nothing repaired; only fields that follow from a new text change too.

    Raises:
        pydantic.ValidationError: If they cannot be.
        ValueError: If a text is given and is blank.
    """
    texts.refuse_blank(str(settings.get("text", "")))
    values = {**begin.model_dump(), **settings}
    if not settings.keys().isdisjoint(("task", "text")):
        for name in following(values) - settings.keys():
            del values[name]
    return RunConfig.model_validate(values)


def following(values: Mapping[str, object]) -> set[str]:
    """The fields that follow from the text of some settings; none without a text, or if it cannot be read."""
    try:
        text = texts.read(str(values.get("text") or ""))
        return set(sizes_of_text(str(values.get("task")), text)) if text else set()
    except ValueError:
        return set()


def explain(error: ValueError) -> list[str]:
    """One plain line for each rule that a config breaks: argument, rule, value received, what to try.

    Of any other ValueError its message, which is such a line already.
    """
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [_explain_one(dict(item)) for item in error.errors(include_url=False)]


def repair_settings(values: Mapping[str, object]) -> tuple[RunConfig, list[str]]:
    """The valid config nearest to `values`, and a line for each value that was not accepted.

    It serves links, and controls that change each other, where a refusal would help nobody. Missing fields have their
    defaults. A field that was not given and follows from others changes without a line.

    `repair_settings({"units": "-5", "seed": "3"}) -> (RunConfig(seed=3), ["units must be at least 1; …"])`
    """
    accepted: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name in [name for name in values if name in RunConfig.model_fields]:
        try:
            accepted[name] = check_field(name, values[name])
            if name == "text":
                texts.refuse_blank(str(values[name]))
        except ValidationError as error:
            refused[name] = " ".join(_explain_one(dict(item), advise=False) for item in error.errors())
        except ValueError as error:
            refused[name] = str(error)
    begin = RunConfig().model_dump()
    if text := accepted.get("text"):
        if texts.ARROW in texts.words(text):
            begin["task"] = "pairs"
        try:
            check_text(accepted.get("task", begin["task"]), text)
        except ValueError as error:
            refused["text"] = str(error)
            del accepted["text"]
    config = RunConfig(**_fit({**begin, **accepted}, accepted.keys()))
    used = config.model_dump()
    notes = [f"{line} {name} is {_show(written(used[name]))} instead." for name, line in refused.items()]
    if unknown := [name for name in values if name not in used]:
        notes.append(_unknown(unknown))
    notes += [f"{name}={_show(written(value))} does not fit the other settings; it is {_show(written(used[name]))} "
              "instead." for name, value in accepted.items() if used[name] != value]
    return config, notes


def check_field(name: str, value: object) -> object:
    """The value of one field, checked by that field's own rules alone."""
    field = RunConfig.model_fields[name]
    if isinstance(value, bool) and field.annotation in (int, float):
        RunConfig.model_validate({name: value})  # raises, as a boolean for a number
    try:
        return _adapter(name).validate_python(value)
    except ValidationError as error:
        # The adapter does not know the field's name, which the explanation needs.
        details = [{"type": item["type"], "loc": (name,), "input": value, "ctx": item.get("ctx", {})}
                   for item in error.errors()]
        raise ValidationError.from_exception_data("RunConfig", details) from None  # type: ignore[arg-type]


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """The rules of one field. They are cached, because making them takes a hundred times as long as a check."""
    field = RunConfig.model_fields[name]
    annotated: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotated)


def _fit(values: dict[str, Any], given: Set[str]) -> dict[str, Any]:
    """Bring fields that depend on others into their range; fields that were not given move first."""
    fitted = _combine(values)
    if fitted["task"] == "pairs":
        return _fit_pairs(fitted, given)
    longest = LARGEST
    if fitted["text"]:
        fitted |= sizes_of_text(fitted["task"], fitted["text"])
        longest = len(texts.words(fitted["text"]))
    fitted |= _fit_lengths(fitted, given, longest)
    if fitted["sequences_per_epoch"] > 1:
        fitted["stateful"] = False
    rows = (fitted["sequence_length"] + fitted["output_length"] - 1 if fitted["missing"] == "mask" else
            fitted["sequence_length"] - fitted["input_length"] + 1)
    fitted["batch_size"] = by_nearness(fitted["batch_size"], fitted["sequences_per_epoch"] * rows)[0]
    return fitted


def _combine(values: dict[str, Any]) -> dict[str, Any]:
    """Change settings until no row of the table refuses: the task wins over the variant, and both over the rest."""
    combined = dict(values)
    while row := refusal(combined):
        if row.field == "task":
            combined["variant"] = network_for(combined["task"])
        else:
            combined[row.field] = row.instead
    return combined


def _fit_lengths(values: dict[str, Any], given: Set[str], longest: int) -> dict[str, int]:
    """Lengths that fit into each other: the sequence holds the window, and the window holds the echo."""
    is_as_long = VARIANTS[values["variant"]].answers_every_step or values["task"] == "lag"
    lag = values["lag"] if values["task"] == "lag" else 0
    sequence, read, echo = values["sequence_length"], values["input_length"], values["output_length"]
    start = 0 if is_as_long else values["echo_start"]
    if "input_length" not in given and is_as_long and "output_length" in given:
        read = echo
    elif "input_length" not in given and not given.isdisjoint(("output_length", "echo_start")):
        read = max(read, start + echo)
    if "input_length" not in given and "lag" in given:
        read = max(read, lag + 1)
    read = min(read, longest)
    if "sequence_length" not in given:
        sequence = max(sequence, read)
    read = min(read, sequence)
    if "output_length" not in given:
        echo = min(echo, max(1, read - start))
    echo = read if is_as_long else min(echo, read)
    return {"sequence_length": sequence, "input_length": read, "output_length": echo,
            "echo_start": min(start, read - echo), "lag": min(lag, read - 1)}


def _fit_pairs(values: dict[str, Any], given: Set[str]) -> dict[str, Any]:
    """Pairs determine every length, and the batch size too unless it was given."""
    text = values["text"] or SAMPLE_PAIRS
    fitted = {**values, **sizes_of_text("pairs", text), "text": text, "echo_start": 0, "lag": 0}
    if "batch_size" in given:
        fitted["batch_size"] = by_nearness(values["batch_size"], fitted["batch_size"])[0]
    return fitted


#: Pydantic's names of broken rules in plain words.
_RULES: Mapping[str, str] = MappingProxyType({
    "greater_than_equal": "must be at least {limit}",
    "greater_than": "must be more than {limit}",
    "less_than_equal": "must be at most {limit}",
    "less_than": "must be less than {limit}",
    "literal_error": "must be one of {limit}",
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    **dict.fromkeys(("string_type", "string_unicode"), "must be text"),
})


def _explain_one(item: dict[str, Any], advise: bool = True) -> str:
    context = item.get("ctx", {})
    if item["type"] == "value_error":
        return str(context["error"])
    field = ".".join(str(part) for part in item["loc"])
    name = _show(field)
    if item["type"] == "extra_forbidden":
        return _unknown([field])
    rule = _RULES.get(item["type"], "is not valid").format(limit=written(next(iter(context.values()), "")))
    default = RunConfig.model_fields[field].default if field in RunConfig.model_fields else None
    advice = f" Try {name}={_show(written(default))}." if advise and default is not None else ""
    return f"{name} {rule}; received {_show(item['input'])}.{advice}"


def _unknown(names: Sequence[str]) -> str:
    """One line for any number of names: a stranger's file may have a hundred thousand."""
    if len(names) == 1:
        said = f"{_show(names[0])} is not a setting"
    else:
        shown, more = [_show(name) for name in names[:_MAX_NAMES]], len(names) - _MAX_NAMES
        said = ", ".join(shown) + f" and {more:,} more are not settings" if more > 0 else (
            f"{', '.join(shown[:-1])} and {shown[-1]} are not settings")
    return f"{said}. Try one of {', '.join(RunConfig.model_fields)}."


def _show(value: object) -> str:
    """A value on one line; it may come from a stranger."""
    return shortened(value if isinstance(value, str) and value and value.isprintable() else repr(value))
