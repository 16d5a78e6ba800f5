"""A server that answers 200 to whatever it is sent: for services that a Gateway must have and no race is about."""

from __future__ import annotations

from aiohttp import web


class Sink:
    """Listens on loopback once it is opened."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._runner: web.ServerRunner | None = None
        self.url = ""

    async def open(self, port: int = 0) -> None:
        """Listen on a port; 0 is a free one.

        Raises:
            OSError: when it is taken.

        """
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.json_response({})
