"""Many visitors at once: `python -m benchmarks.crowd`. A real server, two runs that train, and websocket clients.

Each client does what a page in a browser does. It opens a link to one of the two runs, moves a control
about every two seconds, redraws the run as often as the page asks for it, and waits for each rerun of
the script to end. Prints the seconds of reruns, of both kinds, for each number of sessions.
"""

import asyncio
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.helpers.page import address
from tests.helpers.server import Server, serve
from tests.helpers.visitor import Session

#: Seconds between two actions of one visitor, at least and at most.
ACTS = (1.0, 3.0)
#: Seconds after the last visitor has come until measuring begins.
SETTLING = 5.0
LONG = {"epochs": 100_000}


@dataclass
class Figures:
    """The figures of all sessions."""

    acts: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def live(page: Session, until: float, figures: Figures, measured_from: float) -> None:
    """Act and look until the time is over."""
    acts_at = time.monotonic() + random.uniform(*ACTS)
    while time.monotonic() < until:
        fragment, (_, looks_at) = min(
            page.timers.items(), key=lambda item: item[1][1], default=("", (0.0, float("inf"))))
        await asyncio.sleep(max(0.0, min(acts_at, looks_at) - time.monotonic()))
        if acts_at <= looks_at:
            seconds, kind = await page.run(units=float(random.randint(8, 200))), figures.acts
            acts_at = time.monotonic() + random.uniform(*ACTS)
        else:
            seconds, kind = await page.run(fragment_id=fragment, is_auto_rerun=True), figures.polls
            if fragment in page.timers:
                interval = page.timers[fragment][0]  # which this look may have set anew
                page.timers[fragment] = (interval, max(looks_at + interval, time.monotonic()))
        if time.monotonic() > measured_from:
            kind.append(seconds)
    figures.errors += page.errors


async def visit(server: Server, sessions: int, seconds: float) -> Figures:
    """Let so many visitors in, one after the other, and look on."""
    figures, sockets, pages = Figures(), [], []
    for number in range(sessions):
        socket = await connect(server.url.replace("http", "ws") + "/_stcore/stream",
                               subprotocols=[Subprotocol("streamlit")], max_size=None, open_timeout=30)
        sockets.append(socket)
        page = Session(socket, address("partial", seed=number % 2, **LONG)[1:])
        await page.run()
        await page.run(train=True)
        pages.append(page)
    begins = time.monotonic() + SETTLING
    await asyncio.gather(*(live(page, begins + seconds, figures, begins) for page in pages))
    for socket in sockets:
        await socket.close()
    return figures


@click.command()
@click.option("--sessions", default=(20, 50), multiple=True, show_default=True)
@click.option("--seconds", default=40.0, show_default=True)
def main(sessions: tuple[int, ...], seconds: float) -> None:
    """Measure reruns while two runs train at full speed."""
    with tempfile.TemporaryDirectory() as folder, serve(
            Path(folder), ECHO_WORKERS="2", ECHO_THREADS="1", ECHO_MAX_SECONDS="100000") as server:
        click.echo(f"{'':28} {'reruns':>7} {'median':>8} {'95 %':>8} {'worst':>8}   (milliseconds)")
        for number in sessions:
            figures = asyncio.run(visit(server, number, seconds))
            both = figures.acts + figures.polls
            for name, values in (("acts", figures.acts), ("looks", figures.polls), ("all", both)):
                median, high, worst = (1000 * np.percentile(values, share) for share in (50, 95, 100))
                click.echo(f"{number:3} sessions, {name:14} {len(values):7} {median:8.0f} {high:8.0f} {worst:8.0f}")
            click.echo(f"{number:3} sessions: {len(figures.errors)} errors; memory of the app "
                       f"{server.process.memory_info().rss / 1e6:.0f} MB")
        for line in server.trouble():
            click.echo(f"log: {line}")


if __name__ == "__main__":
    main()
