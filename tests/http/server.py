"""HTTP peers for tests, friendly and hostile, on free loopback ports.

Prints "name value" lines, then "ready", and serves until its standard input ends:

  plain, other       two plain servers; what each received is told by GET /_log (one JSON a line)
  good, expired, …   TLS servers, one a certificate of certificates.py, and tls10, tls11
  good.speaks, …     "yes" when a client that checks nothing gets through
  ca                 the file of the authority that signed them
  closed             a port nobody listens on;  blackhole  one that accepts no connection in time

Paths are listed at `ROUTES`. Standard library only.
"""

import asyncio
import gzip
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import zlib

import certificates

ZEROS = b"\0" * (200 * 1024 * 1024)
BOMBS = {"gzip": gzip.compress(ZEROS, 9), "deflate": zlib.compress(ZEROS, 9)}
BOMBS["gzip, gzip"] = gzip.compress(BOMBS["gzip"])


class Peer:
    """One listening server and the requests it received."""

    def __init__(self, ports):
        self.ports, self.log, self.connections = ports, [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        connection = self.connections
        try:
            while await self.serve_one(reader, writer, connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def serve_one(self, reader, writer, connection):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = [line.split(":", 1) for line in lines[1:] if line]
        headers = [[name, value.strip()] for name, value in headers]
        length = int(next((v for n, v in headers if n.lower() == "content-length"), 0))
        body = await reader.readexactly(length)
        path, _, query = target.partition("?")
        request = {"method": method, "target": target, "path": path, "query": query,
                   "headers": headers, "body": body.decode("latin-1"), "connection": connection}
        if not path.startswith("/_"):
            self.log.append(request)
        route = ROUTES.get(path.split("/")[1], not_found)
        keep = await route(self, request, writer)
        await writer.drain()
        return keep


def answer(writer, status, body=b"", *headers, head=False):
    """Writes a whole answer; `body` is bytes or text."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} Said", *headers]
    if not any(line.lower().startswith("content-length") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head else body))
    return True


async def not_found(_peer, _request, writer):
    return answer(writer, 404, "no such path")


async def ok(_peer, request, writer):
    return answer(writer, 200, "fine", "Content-Type: text/plain", head=request["method"] == "HEAD")


async def echo(_peer, request, writer):
    return answer(writer, 200, json.dumps(request), "Content-Type: application/json",
                  "X-Twice: one", "X-Twice: two", head=request["method"] == "HEAD")


async def tell_log(peer, _request, writer):
    return answer(writer, 200, "\n".join(json.dumps(entry) for entry in peer.log))


async def status(_peer, request, writer):
    code = int(request["path"].split("/")[2])
    return answer(writer, code, json.dumps({"said": code}), "Content-Type: application/json",
                  head=request["method"] == "HEAD")


async def redirect(peer, request, writer):
    """/redirect/302/same | other | scheme | user | loop | relative | bytes | file …"""
    _, _, code, kind = request["path"].split("/")[:4]
    plain, other = peer.ports["plain"], peer.ports["other"]
    targets = {
        "same": f"http://127.0.0.1:{plain}/echo", "relative": "/echo",
        "other": f"http://127.0.0.1:{other}/echo", "name": f"http://localhost:{plain}/echo",
        "scheme": f"https://127.0.0.1:{peer.ports['good']}/echo",
        "user": f"http://u:p@127.0.0.1:{plain}/echo", "loop": f"/redirect/{code}/loop",
        "bare": f"//127.0.0.1:{other}/echo", "file": "file:///etc/passwd",
        "ftp": f"ftp://127.0.0.1:{other}/x", "at": f"http://127.0.0.1:{plain}@127.0.0.1:{other}/",
        "slash": f"http:\\\\127.0.0.1:{other}\\echo", "gopher": f"gopher://127.0.0.1:{other}/_GET",
        "space": f"http://127.0.0.1:{other}/a b",
    }
    return answer(writer, int(code), "go", f"Location: {targets[kind]}")


async def endless(_peer, _request, writer):
    writer.write(b"HTTP/1.1 200 Said\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def endless_chunks(_peer, _request, writer):
    writer.write(b"HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def endless_headers(_peer, _request, writer):
    writer.write(b"HTTP/1.1 200 Said\r\n")
    while True:
        writer.write(b"X-Filler: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def bomb(_peer, request, writer):
    """/bomb/gzip | deflate | twice"""
    kind = request["path"].split("/")[2].replace("twice", "gzip, gzip")
    return answer(writer, 200, BOMBS[kind], f"Content-Encoding: {kind}")


async def huge(_peer, request, writer):
    """A length that overflows what is counted in, or a chunk that does; then more than anybody wants."""
    length = request["path"].split("/")[2]
    framing = "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF" if length == "chunk" else f"Content-Length: {length}\r\n"
    writer.write(f"HTTP/1.1 200 Said\r\n{framing}\r\n".encode())
    while True:
        writer.write(b"h" * 65536)
        await writer.drain()


async def drip(_peer, _request, writer):
    writer.write(b"HTTP/1.1 200 Said\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.05)


async def short(_peer, _request, writer):
    answer(writer, 200, "only this", "Content-Length: 1000")
    return False


async def lying(_peer, _request, writer):
    answer(writer, 200, "x", "Content-Length: 99999999999999")
    await writer.drain()
    await asyncio.sleep(3600)


async def not_http(_peer, _request, writer):
    writer.write(b"220 this is no HTTP\r\n")
    return False


async def silent(_peer, _request, _writer):
    await asyncio.sleep(3600)


async def slow(_peer, request, writer):
    await asyncio.sleep(float(request["path"].split("/")[2]))
    return answer(writer, 200, "late")


async def hang_up(_peer, _request, _writer):
    return False


async def half(_peer, request, writer):
    """A status line and some of the body, then the end."""
    code = request["path"].split("/")[2]
    writer.write(f"HTTP/1.1 {code} Said\r\nContent-Length: 50\r\n\r\nhalf".encode())
    return False


async def hang_up_second(peer, request, writer):
    """Answers the first request of a connection; ends it at the second without an answer."""
    seen = sum(entry["connection"] == request["connection"] for entry in peer.log)
    return answer(writer, 200, "first") if seen == 1 else False


async def sized(_peer, request, writer):
    return answer(writer, 200, b"s" * int(request["path"].split("/")[2]))


async def text_json(_peer, _request, writer):
    return answer(writer, 200, "{not json", "Content-Type: application/json")


ROUTES = {
    "ok": ok, "echo": echo, "_log": tell_log, "status": status, "redirect": redirect,
    "endless": endless, "endless-chunks": endless_chunks, "endless-headers": endless_headers,
    "bomb": bomb, "huge": huge, "drip": drip, "short": short, "lying": lying, "not-http": not_http,
    "silent": silent, "slow": slow, "hang-up": hang_up, "half": half,
    "hang-up-second": hang_up_second, "sized": sized, "bad-json": text_json,
}


async def speaks(port):
    """Can a client that checks nothing shake hands there?"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.close()
    return "yes"


async def main(directory):
    ports = {}
    files, ca = certificates.make(directory)
    contexts = certificates.contexts(files)
    for name in ("plain", "other", *contexts):
        peer = Peer(ports)
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, backlog=1024,
                                            ssl=contexts.get(name), limit=1 << 20)
        ports[name] = server.sockets[0].getsockname()[1]
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it, and never listening
    blackhole = socket.socket()
    blackhole.bind(("127.0.0.1", 0))
    blackhole.listen(0)  # its queue of one is filled here: the next connection hangs
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(blackhole.getsockname())
    ports["closed"], ports["blackhole"] = closed.getsockname()[1], blackhole.getsockname()[1]
    for name, port in ports.items():
        print(name, port)
    for name in contexts:
        print(f"{name}.speaks", await speaks(ports[name]))
    print("ca", ca)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    shutil.rmtree(directory)
    os._exit(0)  # at once: open connections are nobody's any more


if __name__ == "__main__":
    asyncio.run(main(tempfile.mkdtemp(prefix="opsrun-http-")))
