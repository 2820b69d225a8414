"""A reverse proxy in front of the API: below a path prefix that it removes, compressing, or speaking HTTP/1.0."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.api.http_service import WITHOUT_TLS

_NOT_PASSED_ON = ("connection", "transfer-encoding", "date", "server")


@contextmanager
def proxied(
    service: httpx.Client, *, prefix: str = "", removes_prefix: bool = True, compresses: bool = False, version: int = 11
) -> Iterator[httpx.Client]:
    """A client that reaches `service` through a proxy; its paths are below `prefix`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Requests are not logged."""

        def do_GET(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            response, body = self._ask(self.path[len(prefix) if removes_prefix else 0 :])
            zips = compresses and response.status == 200 and "gzip" in self.headers.get("Accept-Encoding", "")
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() in _NOT_PASSED_ON or (zips and name.lower() == "content-length"):
                    continue
                self.send_header(name, f"W/{value}" if zips and name.lower() == "etag" else value)
            if zips:
                body = gzip.compress(body)
                self.send_header("Content-Encoding", "gzip")
            if zips or (response.headers["Content-Length"] is None and response.status not in (204, 304)):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_DELETE = do_HEAD = do_POST = do_GET  # noqa: N815  (names that http.server looks for)

        def _ask(self, path: str) -> tuple[http.client.HTTPResponse, bytes]:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection: Any = http.client.HTTPConnection(service.base_url.host, service.base_url.port, timeout=20)
            connection._http_vsn, connection._http_vsn_str = version, f"HTTP/{version // 10}.{version % 10}"
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            with closing(connection):
                connection.request(self.command, path, body or None, headers)
                with connection.getresponse() as response:
                    return response, response.read()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{server.server_port}{prefix}", timeout=20, verify=WITHOUT_TLS
        ) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
