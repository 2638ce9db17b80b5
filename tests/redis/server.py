"""Redis peers for tests, friendly and hostile, on free loopback ports.

Prints "name value" lines, then "ready", and serves until its standard input ends:

  plain              behaves as the user of AUTH says: see SCENARIOS; /_ commands tell what it saw
  full               says that it has no room, and closes
  good, expired, …   TLS servers, one a certificate of tests/http/certificates.py, and tls10, tls11
  ca                 the file of the authority that signed them
  unix               a socket's path
  closed             a port nobody listens on;  blackhole  one that accepts no connection in time

Standard library only.
"""

import asyncio
import logging
import os
import random
import shutil
import socket
import ssl
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import certificates  # noqa: E402

SEEN = []


class Hang(Exception):
    """Ends the connection."""


async def read_command(reader):
    head = await reader.readuntil(b"\r\n")
    words = []
    for _ in range(int(head[1:])):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


async def endless(writer, head, filler=b"x" * 65536):
    writer.write(head)
    while not writer.is_closing():
        writer.write(filler)
        await writer.drain()


async def scenario_ok(_writer, _words, _count):
    return b"+OK\r\n"


async def echo(_writer, words, _count):
    return b"*%d\r\n" % len(words) + b"".join(bulk(word) for word in words)


async def types(_writer, _words, _count):
    return (b"*8\r\n+status\r\n:-9223372036854775808\r\n:9223372036854775807\r\n$-1\r\n*-1\r\n*0\r\n"
            b"$0\r\n\r\n*2\r\n$3\r\na\0b\r\n-ERR inner\r\n")


async def silent(_writer, _words, _count):
    await asyncio.sleep(3600)


async def hang_up(_writer, _words, _count):
    raise Hang


async def half(_writer, _words, count):
    if count > 2:
        raise Hang
    return b":%d\r\n" % count


async def cut(writer, _words, _count):
    writer.write(b"$10\r\nabc")
    raise Hang


async def drip(writer, _words, _count):
    writer.write(b"$100000\r\n")
    while not writer.is_closing():
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.05)


async def slices(writer, _words, _count):
    for byte in b"*2\r\n$5\r\nhello\r\n:42\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.001)


async def rude(_writer, _words, _count):
    return b"+OK\r\n+AND MORE\r\n"


def says(data):
    async def scenario(_writer, _words, _count):
        return data
    return scenario


def floods(head, filler=b"x" * 65536):
    async def scenario(writer, _words, _count):
        await endless(writer, head, filler)
    return scenario


async def noise(writer, words, _count):
    """Random bytes that begin like replies; the key is the seed."""
    dice = random.Random(words[1])
    parts = [b"*2\r\n", b"*3\r\n", b"$3\r\nabc\r\n", b"$-1\r\n", b":1\r\n", b"+x\r\n", b"-E y\r\n", b"*-1\r\n",
             b"$99\r\n", b"*1000000\r\n", b"\r\n", b"*0\r\n", b"$", b"*", b":-\r\n", b"%1\r\n", b"$5000000\r\n"]
    for _ in range(dice.randrange(1, 40)):
        writer.write(dice.choice(parts) if dice.random() < 0.8 else dice.randbytes(dice.randrange(1, 9)))
    raise Hang


SCENARIOS = {
    "ok": scenario_ok, "echo": echo, "types": types, "silent": silent, "hang_up": hang_up, "half": half,
    "cut": cut, "drip": drip, "slices": slices, "rude": rude, "noise": noise,
    "not_redis": says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "resp3": says(b"%1\r\n+a\r\n+b\r\n"),
    "no_integer": says(b":12x\r\n"), "overflow": says(b":99999999999999999999\r\n"),
    "negative_array": says(b"*-5\r\n"), "negative_text": says(b"$-7\r\n"),
    "no_length": says(b"$abc\r\n"), "text_overflow": says(b"$99999999999999999999\r\n"),
    "array_overflow": says(b"*99999999999999999999\r\n"), "int_overflow": says(b"*4294967297\r\n:1\r\n"),
    "many": says(b"*1000001\r\n"), "many_nested": floods(b"*1000\r\n", b"*2000\r\n" + b":1\r\n" * 2000),
    "deep": says(b"*1\r\n" * 12 + b":1\r\n"), "seven": says(b"*1\r\n" * 7 + b":1\r\n"),
    "long_line": floods(b"+"), "long_error": floods(b"-ERR "), "long_text": floods(b"$536870911\r\n"),
    "huge_text": floods(b"$9223372036854775806\r\n"), "nul": says(b"$3\r\na\0b\r\n"),
    "many_texts": floods(b"*900000\r\n", bulk(b"y" * 60000)),
    "wrongtype": says(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
}


async def serve(reader, writer):
    scenario, count, closing = scenario_ok, 0, False
    try:
        while True:
            words = await read_command(reader)
            name = words[0].upper()
            if name == b"AUTH":
                if words[1] == b"nobody":
                    writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
                    continue
                scenario = SCENARIOS.get(words[1].decode(), scenario_ok)
                writer.write(b"+OK\r\n")
                closing = words[1] == b"closing"
                continue
            if name in (b"CLIENT", b"SELECT"):
                SEEN.append(b" ".join(words))
                writer.write(b"+OK\r\n")
                if closing and name == b"CLIENT":
                    raise Hang
            elif name == b"_SEEN":
                writer.write(bulk(b"\n".join(SEEN)))
            else:
                count += 1
                SEEN.append(b" ".join(words[:3]))
                data = await scenario(writer, words, count)
                if data:
                    writer.write(data)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, Hang, ValueError):
        pass
    finally:
        writer.close()


async def serve_full(_reader, writer):
    writer.write(b"-ERR max number of clients reached\r\n")
    writer.close()


def tls_context(files, version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")      # a bad peer shows what it likes: keys too short, old versions
    if version is not None:
        context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*files)
    return context


def quiet(loop, context):
    """Hostile ends of connections are what this is for: no tracebacks about them."""
    if not isinstance(context.get("exception"), (ConnectionError, ssl.SSLError, OSError)):
        loop.default_exception_handler(context)


async def main(directory):
    asyncio.get_running_loop().set_exception_handler(quiet)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    files, ca = certificates.make(directory)
    contexts = {name: tls_context(pair) for name, pair in files.items()}
    contexts["tls10"] = tls_context(files["good"], ssl.TLSVersion.TLSv1)
    contexts["tls11"] = tls_context(files["good"], ssl.TLSVersion.TLSv1_1)
    servers = []
    for name in ("plain", "full", *contexts):
        server = await asyncio.start_server(serve_full if name == "full" else serve, "127.0.0.1", 0,
                                            backlog=1024, ssl=contexts.get(name), limit=1 << 24)
        servers.append(server)
        print(name, server.sockets[0].getsockname()[1])
    path = os.path.join(directory, "redis.sock")
    servers.append(await asyncio.start_unix_server(serve, path, limit=1 << 24))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    blackhole = socket.socket()
    blackhole.bind(("127.0.0.1", 0))
    blackhole.listen(0)
    filling = [socket.socket() for _ in range(3)]
    for link in filling:
        link.setblocking(False)
        link.connect_ex(blackhole.getsockname())
    print("ca", ca)
    print("unix", path)
    print("closed", closed)
    print("blackhole", blackhole.getsockname()[1])
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    os._exit(0 if shutil.rmtree(directory, ignore_errors=True) is None else 1)


if __name__ == "__main__":
    asyncio.run(main(tempfile.mkdtemp(prefix="opsrun-redis-")))
