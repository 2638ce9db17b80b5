"""TLS peers nobody may trust, and one good one, for tests that speak a protocol behind the handshake."""

import os
import socket
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
import certificates  # noqa: E402


def contexts(directory):
    """{name: the server's side of it}, and the path of the authority that signed the good one."""
    files, authority = certificates.make(directory)
    return certificates.contexts(files), authority


def at_once(_link):
    """TLS from the first byte: https, rediss, smtps."""


def postgres(link):
    if link.recv(8)[4:] == b"\x04\xd2\x16\x2f":      # SSLRequest
        link.sendall(b"S")


def starttls(link):
    link.sendall(b"220 peer ESMTP\r\n")
    while not link.recv(1024).startswith(b"STARTTLS"):
        link.sendall(b"250-peer\r\n250 STARTTLS\r\n")
    link.sendall(b"220 go ahead\r\n")


class Peer:
    """Listens on loopback; agrees on TLS as the protocol does it; keeps what came behind the handshake."""

    def __init__(self, context, agree):
        self.context, self.agree, self.came = context, agree, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            link.settimeout(10)
            try:
                self.agree(link)
                link = self.context.wrap_socket(link, server_side=True)
                if self.agree is starttls or self.agree is at_once:
                    link.settimeout(0.5)
                self.came.append(link.recv(1024))
            except OSError:
                pass
            finally:
                link.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(15)
