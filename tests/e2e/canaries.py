"""Secrets whose every form is looked for, and a place on the network that gives them away and takes what is told."""

import base64
import html
import http.server
import json
import os
import re
import shlex
import sys
import threading
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "c"))
from mask_forms import SECRETS, c_string  # noqa: E402


def base64_forms(data):
    """Six texts with the secret behind 0 to 2 other bytes, and of each what depends on the secret alone."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            text = encode(b"abc"[:shift] + data).decode()
            first, last = (shift * 8 + 5) // 6, (shift + len(data)) * 8 // 6
            yield f"{encode.__name__}+{shift}", text, [text[first:last]]


def forms(secret):
    """The 17 forms: (name, a text that holds it, what may be seen nowhere)."""
    data = secret.encode()
    lines = [line.strip() for line in secret.splitlines()]
    lines = [line for line in lines if len(line.encode()) >= 8 and not line.startswith("-----")]
    yield "raw", secret, [secret]
    yield from base64_forms(data)
    for name, text in (
            ("hex", data.hex()), ("url", urllib.parse.quote(secret, safe="")), ("form", urllib.parse.quote_plus(secret)),
            ("json", json.dumps(secret)), ("xml", html.escape(secret)), ("sql", secret.replace("'", "''")),
            ("shell", shlex.quote(secret + " ")[:-2]), ("c", c_string(data)),
            ("line ends", secret.replace("\r\n", "\n").replace("\n", "\r\n"))):
        yield name, text, [text[1:-1] if name == "json" else text]
    yield "lines", "\n".join(f"{number}. {line}" for number, line in enumerate(lines)), lines


def squeezed(data):
    """Without white space and line ends: what was wrapped is seen all the same."""
    return re.sub(rb"[\s\x00]|\xe2\x8f\x8e", b"", data)


ALL = [(number, secret, list(forms(secret))) for number, secret in enumerate(SECRETS)]
TEXTS = [text for _, _, entries in ALL for _, text, _ in entries]
NEEDLES = {(number, name, index): squeezed(needle.encode())
           for number, _, entries in ALL for name, _, needles in entries for index, needle in enumerate(needles)}


def found(data):
    """The forms of secrets that are in the bytes."""
    hay = squeezed(data)
    return sorted(key for key, needle in NEEDLES.items() if len(needle) >= 8 and needle in hay)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/texts":
            self.answer(200, json.dumps(TEXTS).encode())
        else:
            self.answer(500, TEXTS[int(self.path.split("/")[2])].encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.setdefault(self.path, []).append(body)
        self.answer(202 if self.path == "/pagerduty" else 200, b"{}")


def serve():
    """A server on loopback: /texts gives all texts away, /echo/N fails with one; .told is what was posted, by path."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.told, server.base = {}, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
