"""The cache that all visitors share keeps as many values as it may, and no trace of all others."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

from echo_app.web.shared_cache import shared_cache


def test_value_is_computed_once_for_all_who_ask_at_the_same_time():
    computed, go = [], threading.Event()

    @shared_cache(max_entries=2)
    def doubled(number: int) -> int:
        go.wait(20)
        computed.append(number)
        return 2 * number

    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(doubled, 21) for _ in range(4)]
        go.set()
        assert [each.result() for each in asked] == [42] * 4
    assert computed == [21]


def test_keys_are_made_as_the_hash_funcs_say():
    @shared_cache(max_entries=2, hash_funcs={list: len})
    def first(values: list[int]) -> int:
        return values[0]

    assert (first([1, 2]), first([3, 4]), first([5])) == (1, 1, 5)


def test_memory_does_not_grow_with_the_number_of_values_that_were_computed():
    @shared_cache(max_entries=2)
    def echoed(number: int) -> int:
        return number

    for each in range(1500):
        echoed(each)
    tracemalloc.start()
    try:
        for each in range(6000):
            assert echoed(-each) == -each
        # 12e5 without emptying it. What threads of other tests allocate meanwhile counts as well.
        assert tracemalloc.get_traced_memory()[0] < 6e5
    finally:
        tracemalloc.stop()
