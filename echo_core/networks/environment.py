"""The environment of a process that trains: what decides how TensorFlow and Keras compute is set here, not outside.

Variables and files of other programs' users (`KERAS_BACKEND`, `~/.keras/keras.json`, `TF_XLA_FLAGS`, …) would make
training fail, or give other weights for the same settings.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory

#: TensorFlow's, its compiler's and Keras's variables begin like this.
_PREFIXES = ("TF_", "TF2_", "XLA_", "KERAS_")
#: These may stay: they decide what is logged, and where on a GPU memory comes from, but no result.
_HARMLESS = ("TF_CPP_", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR")

#: What this project sets instead, in every process that trains. XLA uses vectors as wide as those of AVX-512 only when
#: asked: a fifth faster where they exist, and some sums end in other last bits.
_OURS = {"KERAS_BACKEND": "tensorflow", "XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"}

_is_pinned = False


def pin(own: Mapping[str, str] | None = None) -> None:
    """Remove variables set outside, before TensorFlow and Keras are imported, which read them once.

    Args:
        own: What else a process of this project sets. Without it, only the first call in a process does something.
    """
    global _is_pinned
    if _is_pinned and own is None:
        return
    for name in [name for name in os.environ if name.startswith(_PREFIXES) and not name.startswith(_HARMLESS)]:
        del os.environ[name]
    os.environ.update({**_OURS, **(own or {})})
    _is_pinned = True


@contextmanager
def no_keras_settings() -> Iterator[None]:
    """Have Keras, while it is imported, find no `keras.json`, which may name another backend or kind of float."""
    with TemporaryDirectory(prefix="echo-keras-") as empty:
        os.environ["KERAS_HOME"] = empty
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]
