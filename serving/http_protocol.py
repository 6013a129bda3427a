"""HTTP/1.1 of the REST port: uvicorn's, for clients that offer an upgrade too.

Java's own client and `curl --http2` send a first request with `Upgrade: h2c`. A server that stays with HTTP/1.1 answers
it as any other (RFC 9110, 7.8). httptools takes such a request to end with its headers, and uvicorn drops the body.
"""

from collections.abc import Iterable, Iterator

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFER = {b"upgrade", b"http2-settings"}


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reads requests that offer an upgrade once more, without the offer."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = self._without_offer(data[offer.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return

    def _without_offer(self, rest: bytes) -> bytes:
        """The request once more, and the `rest` behind its headers; nothing where it is refused."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        if method == b"CONNECT":
            self.send_400_response("CONNECT is for proxies.")
            return b""
        start = b"%s %s HTTP/%s" % (method, self.url, version.encode())
        return b"\r\n".join([start, *without_offer(self.headers), b"\r\n"]) + rest

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()


def without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The lines of `headers`, without the offer; of Connection what it says besides."""
    for name, value in headers:
        if name.lower() == b"connection":
            value = b", ".join(option for option in map(bytes.strip, value.split(b",")) if option.lower() not in OFFER)
        if name.lower() not in OFFER and value:
            yield b"%s: %s" % (name, value)
