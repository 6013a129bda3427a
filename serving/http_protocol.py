"""HTTP/1.1 of the REST port: uvicorn's, for clients that offer an upgrade too.

Java's own client and `curl --http2` send a first request with `Upgrade: h2c`. A server that stays with HTTP/1.1 answers
it as any other (RFC 9110, 7.8). httptools takes such a request to end with its headers, and uvicorn drops the body.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFER = {b"upgrade", b"connection", b"http2-settings"}


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reads requests that offer an upgrade once more, without the offer."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method = self.parser.get_method()
            self.parser = httptools.HttpRequestParser(self)
            if method == b"CONNECT":
                self.send_400_response("CONNECT is for proxies.")
                return
            headers = [b"%s: %s" % header for header in self.headers if header[0].lower() not in OFFER]
            head = b"\r\n".join([b"%s %s HTTP/1.1" % (method, self.url), *headers, b"\r\n"])
            self.data_received(head + data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
