"""What a rerun of the Train page draws, as a browser that speaks to a real server sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.helpers.page import ENDLESS, address, small
from tests.helpers.server import Server, serve_quick
from tests.helpers.visitor import Session
from tests.helpers.waiting import PATIENCE


class Page(Session):
    """A page that remembers what its last rerun brought."""

    deltas = 0

    async def run(self, **changes: object) -> float:
        self.deltas, self.ends, self.progress, self.kept, self.kinds = 0, [], "", 0, list[str]()
        return await super().run(**changes)

    def take(self, message: ForwardMsg) -> bool:
        self.deltas += message.HasField("delta")
        self.kept += message.metadata.cacheable or message.HasField("ref_hash")
        self.progress = message.delta.new_element.progress.text or self.progress
        drawn = message.delta.new_element if message.delta.HasField("new_element") else message.delta.add_block
        self.kinds.append(str(drawn.WhichOneof("type")))
        if message.HasField("script_finished"):
            self.ends.append(message.script_finished)
        return super().take(message)

    @property
    def interval(self) -> float:
        """Seconds between two looks at its run."""
        (seconds, _), = self.timers.values()
        return seconds

    async def look(self) -> None:
        await self.run(fragment_id=next(iter(self.timers)), is_auto_rerun=True)


async def come(stack: AsyncExitStack, server: Server, query: str) -> Page:
    """A visitor opens a link."""
    socket = await stack.enter_async_context(connect(
        server.url.replace("http", "ws") + "/_stcore/stream", subprotocols=[Subprotocol("streamlit")], max_size=None))
    page = Page(socket, query)
    await page.run()
    return page


def on_a_server(folder: Path, story: Callable[[AsyncExitStack, Server], Awaitable[None]]) -> None:
    """Tell a story of visitors to a server of their own, which has nothing to complain of."""
    async def told() -> None:
        async with AsyncExitStack() as stack:
            await story(stack, server)

    with serve_quick(folder) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(told())).result()  # a thread, as Playwright has an event loop in this one
        assert server.trouble() == []


def test_a_control_redraws_the_settings_alone_unless_the_page_shows_more_of_what_it_changed(tmp_path: Path):
    async def story(stack: AsyncExitStack, server: Server) -> None:
        page = await come(stack, server, small(epochs=ENDLESS)[1:])
        everything = page.deltas
        await page.run(units=33.0)  # which the picture of the network shows
        assert page.ends == [ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY]
        await page.run(epochs=90_000.0)  # which the axes of the empty charts show
        assert page.ends == [ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY]
        await page.run(train=True)
        assert page.ends == [ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY]
        assert page.interval < 1
        # What is behind the run comes first, as the run waits for its first records.
        assert page.kinds.index("tab_container") < page.kinds.index("progress")
        await page.run(epochs=80_000.0)  # now a line above the run says that the controls differ
        assert page.ends == [ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY]
        await page.run(epochs=70_000.0)
        assert page.ends == [ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY]
        assert page.deltas < everything / 2
        await page.run(output_length=1.0)  # which decides what its memory has to hold
        assert page.ends == [ForwardMsg.FINISHED_EARLY_FOR_RERUN, ForwardMsg.FINISHED_SUCCESSFULLY]
        assert page.errors == []

    on_a_server(tmp_path, story)


@pytest.mark.slow
def test_a_page_that_stays_open_looks_less_often_when_many_have_come_and_more_often_when_they_have_gone(tmp_path: Path):
    async def until(page: Page, in_step: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not in_step():
                await page.look()
                await asyncio.sleep(0.05)

    async def story(stack: AsyncExitStack, server: Server) -> None:
        page = await come(stack, server, small(epochs=ENDLESS)[1:])
        await page.run(train=True)
        async with AsyncExitStack() as crowd:
            for _ in range(14):
                await come(crowd, server, "")
            await until(page, lambda: page.interval > 0.7)
        await until(page, lambda: page.interval < 0.7)
        assert page.errors == []

    on_a_server(tmp_path, story)


@pytest.mark.slow
def test_who_presses_stop_among_many_sees_at_once_that_it_stops(tmp_path: Path):
    async def story(stack: AsyncExitStack, server: Server) -> None:
        page = await come(stack, server, small(epochs=ENDLESS)[1:])
        await page.run(train=True)
        for _ in range(14):
            await come(stack, server, "")
        async with asyncio.timeout(PATIENCE):
            while not page.progress.startswith("Epoch"):
                await page.look()
        await page.run(stop=True)  # the row of the run that the look has read is still shared
        assert page.progress == "" or page.progress.startswith("Stopping"), page.progress

    on_a_server(tmp_path, story)


def test_a_browser_is_never_asked_to_keep_what_it_may_have_dropped_when_it_is_referred_to(tmp_path: Path):
    async def story(stack: AsyncExitStack, server: Server) -> None:
        page = await come(stack, server, address("whole", epochs=100)[1:])
        await page.run(train=True)
        async with asyncio.timeout(PATIENCE):
            while page.timers:  # until it has finished
                await page.look()
                assert page.kept == 0
                await page.run()
                assert page.kept == 0

    on_a_server(tmp_path, story)
