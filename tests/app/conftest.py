"""What all tests with Streamlit's test runner share."""

import sys
from collections.abc import Iterator

import pytest
from streamlit.components.v2 import manifest_scanner

from echo_core.workers import worker


@pytest.fixture(scope="session", autouse=True)
def no_components_of_packages() -> Iterator[None]:
    """The test runner looks through the metadata of every package here for each page, and no page of ours uses any."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", list)
        yield


@pytest.fixture(scope="package", autouse=True)
def workers_wait_for_work(own_store: None) -> Iterator[None]:
    """One worker, which loads TensorFlow for the first run: most pages here train nothing, and both cores are busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "WARM_UP_STEPS", ())
        patch.setenv("ECHO_WORKERS", "1")
        patch.setenv("ECHO_STANDBY", "false")
        yield


@pytest.fixture(autouse=True)
def own_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runner puts each script in the place of `__main__`, which every process spawned later would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
