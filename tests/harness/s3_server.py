"""Serves moto's S3 on a free port of this machine, in memory, for one process of tests.

Usage: s3_server.py ACCESS_KEY_ID

The first line on stdout is the port. Each line on stdin names a bucket; it is made, and its name comes back as a line on
stdout. When stdin is closed the server ends, so that it never outlives whoever started it.

Requests are answered one at a time. moto looks whether the condition of a write holds and writes in two steps, and the
tests need what S3 promises: of conditional writes at once one wins. Connections are kept open, as S3 keeps them.
"""

import io
import sys
import threading
from http import HTTPStatus

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

REGION = "us-east-1"
ONE_AT_A_TIME = threading.Lock()


class KnownKey:
    """Lets in who signs with the known key; whether the signature is right is not checked."""

    def __init__(self, app, access_key_id):
        self.app = app
        self.signed = f"Credential={access_key_id}/"

    def __call__(self, environ, start_response):
        if self.signed in environ.get("HTTP_AUTHORIZATION", ""):
            return self.app(environ, start_response)
        said = "<Error><Code>InvalidAccessKeyId</Code><Message>The key is not known.</Message></Error>"
        refusal = Response(said, HTTPStatus.FORBIDDEN, mimetype="application/xml")
        return refusal(environ, start_response)


class Connection(MotoRequestHandler):
    """A connection that is kept open; werkzeug's own is closed after each answer."""

    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave in one piece.
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environ = self.make_environ() | {"wsgi.input": io.BytesIO(body)}
        with ONE_AT_A_TIME:
            parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
            content = b"".join(parts)
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    def log_request(self, code="-", size="-"):
        """Says nothing."""


def main(access_key_id):
    app = KnownKey(create_backend_app("s3"), access_key_id)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Connection)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)
    for line in sys.stdin:
        name = line.strip()
        with ONE_AT_A_TIME:
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(name, REGION)
        print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
