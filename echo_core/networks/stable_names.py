"""Names for traced programs that depend on nothing but what they do.

TensorFlow numbers functions as they are traced, and its persistent cache takes those numbers for a part of the
program: a process that traces the same networks in another order finds nothing there. Named after
their own contents, programs are found again by every process.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from echo_core.networks.backend import context  # the only way to call a function by its name


def named_by_content(traced: Any) -> Callable[..., tuple[Any, ...]]:
    """What calls the same program under names of its own, with tensors alone.

    Traced again in one process it gets another name: that is done where it could not be run, and
    TensorFlow remembers the failure by the name.

    Args:
        traced: A concrete function without captured tensors.
    """
    functions = [*traced.graph.as_graph_def().library.function, traced.function_def]
    functions.sort(key=lambda function: _when_traced(function.signature.name))
    _rename(functions, {function.signature.name: str(place) for place, function in enumerate(functions)})
    contents = b"".join(function.SerializeToString(deterministic=True) for function in functions)
    digest = hashlib.sha256(contents).hexdigest()[:16]
    names = (f"echo_{digest}_{trial}" for trial in count())
    name = next(name for name in names if not context.context().has_function(f"{name}_0"))
    _rename(functions, {str(place): f"{name}_{place}" for place in range(len(functions))})
    for function in functions:
        context.context().add_function_def(function)
    program = functions[-1].signature
    called, num_outputs = program.name.encode(), len(program.output_arg)
    return lambda *tensors: tuple(context.context().call_function(called, list(tensors), num_outputs))


def _when_traced(name: str) -> tuple[int, str]:
    """In order of tracing: by the last number of a name; `while_body_618_rewritten` comes after its original."""
    *_, number = re.finditer(r"\d+", name)
    return int(number.group()), name[number.end():]


def _rename(functions: list[Any], names: Mapping[str, str]) -> None:
    for function in functions:
        function.signature.name = names[function.signature.name]
        for place, argument in enumerate(function.signature.input_arg):
            if "redundant_placeholder" in argument.name:  # nothing reads it; it has the function's number in it
                argument.name = f"redundant_{place}"
        for node in function.node_def:
            node.attr.pop("_gradient_op_type", None)  # numbered too, and gradients are made already
            for attribute in node.attr.values():
                if attribute.WhichOneof("value") == "func":
                    attribute.func.name = names[attribute.func.name]
