"""Keep the benchmarks' own tests away from the developer's runs."""

from tests.helpers.own_store import own_store

__all__ = ["own_store"]
