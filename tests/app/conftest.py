"""What all tests with Streamlit's test runner share."""

import sys
from collections.abc import Iterator

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner

from echo_app import state
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


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One engine for the pages of a module, with a store of its own, closed with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "browser_name", lambda: None)  # the test runner has no browser, and mocks its cookies
        patch.setenv("ECHO_COMPILE_AHEAD", "false")  # pages are drawn here faster than anybody reads them
        patch.setenv("DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('app') / 'runs.db'}")
        st.cache_resource.clear()
        yield
        state.engine().close()
        st.cache_resource.clear()


@pytest.fixture(autouse=True)
def own_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runner puts each script in the place of `__main__`, which every process spawned later would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
