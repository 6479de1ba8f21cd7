"""The benchmarks' own tests keep away from the runs of whoever runs them, as all others do."""

from tests.helpers.own_store import own_store

__all__ = ["own_store"]
