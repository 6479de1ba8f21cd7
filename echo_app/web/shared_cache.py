"""A cache whose values all visitors share, and whose memory is bounded (decision 0068)."""

from collections.abc import Callable, Mapping
from functools import wraps
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import streamlit as st

if TYPE_CHECKING:
    from streamlit.runtime.caching.cache_utils import CachedFunc

P = ParamSpec("P")
T = TypeVar("T")

#: A cache is emptied after it has computed this many values, and some for each that it may hold.
_VALUES, _VALUES_PER_ENTRY = 1000, 4


def shared_cache(max_entries: int, hash_funcs: Mapping[str | type[Any], Callable[[Any], Any]] | None = None,
                 ) -> "Callable[[Callable[P, T]], CachedFunc[P, T]]":
    """`st.cache_resource`, which now and then forgets everything.

    Streamlit keeps a key and a lock, about 200 bytes, of each value that it has ever computed, however few values it
    may keep. The epoch of a run under way is such a key, of which there are hundreds of thousands a day.

    Args:
        hash_funcs: How arguments become keys, by their types.
    """
    def decorate(compute: Callable[P, T]) -> "CachedFunc[P, T]":
        computed = count(1)

        @wraps(compute)
        def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            if next(computed) % (_VALUES + _VALUES_PER_ENTRY * max_entries) == 0:
                cached.clear()
            return compute(*args, **kwargs)

        cached = st.cache_resource(max_entries=max_entries, show_spinner=False,
                                   hash_funcs=dict(hash_funcs or {}))(counted)
        return cached

    return decorate
