"""The lab's mail server: takes mail on loopback and keeps it, a JSON line each, in mails.jsonl.

Three ports: STARTTLS (a login is offered only behind it), TLS from the first byte, and one that knows
no TLS at all. Some recipients are not like the others:

  nobody@…   550, there is no such user        drop@…   the mail is read, then the line goes dead
  slow@…     the answer takes 60 seconds        full@…   452 after the mail was read
"""

import base64
import hmac
import json
import os
import socketserver
import ssl
import sys
import threading
import time

from processes import write_private

LONGEST = 32 * 1024 * 1024


class Gone(Exception):
    """The peer hung up."""


class Session(socketserver.BaseRequestHandler):
    config, context, kept, lock = None, None, None, threading.Lock()

    def setup(self):
        self.secure, self.user = False, None
        self.request.settimeout(120)
        if self.server.kind == "smtps":
            self.protect()
        self.file = self.request.makefile("rb")
        self.forget()

    def finish(self):
        self.file.close()
        self.request.close()

    def protect(self):
        self.request = self.context.wrap_socket(self.request, server_side=True)
        self.secure = True

    def forget(self):
        self.sender, self.recipients = None, []

    def say(self, *lines):
        code, texts = lines[0], lines[1:]
        for number, text in enumerate(texts):
            mark = " " if number == len(texts) - 1 else "-"
            self.request.sendall(f"{code}{mark}{text}\r\n".encode())

    def line(self):
        raw = self.file.readline(4096)
        if not raw.endswith(b"\r\n"):
            raise Gone
        return raw[:-2].decode("utf-8", "replace")

    def handle(self):
        self.say(220, "lab ESMTP")
        while True:
            verb, _, rest = self.line().partition(" ")
            method = getattr(self, "do_" + verb.lower(), None)
            if method is None:
                self.say(502, "5.5.1 what was that?")
            elif method(rest) is False:
                return

    def do_ehlo(self, _):
        offers = ["lab", "8BITMIME", f"SIZE {LONGEST}"]
        if self.server.kind == "starttls" and not self.secure:
            offers.append("STARTTLS")
        if self.secure:
            offers.append("AUTH PLAIN LOGIN")
        self.say(250, *offers)

    do_helo = do_ehlo

    def do_starttls(self, _):
        if self.server.kind != "starttls" or self.secure:
            self.say(502, "5.5.1 not here")
            return
        self.say(220, "2.0.0 go ahead")
        self.protect()
        self.file = self.request.makefile("rb")
        self.forget()

    def do_auth(self, rest):
        if not self.secure:
            self.say(538, "5.7.11 not in clear text")
            return
        how, _, first = rest.partition(" ")
        if how.upper() == "PLAIN":
            answer = first or self.ask("")
            user, password = base64.b64decode(answer).decode().split("\0")[1:3]
        else:
            user = base64.b64decode(first or self.ask("VXNlcm5hbWU6")).decode()
            password = base64.b64decode(self.ask("UGFzc3dvcmQ6")).decode()
        good = user == self.config["user"] and hmac.compare_digest(password, self.config["password"])
        self.user = user if good else None
        if good:
            self.say(235, "2.7.0 welcome")
        else:
            self.say(535, "5.7.8 user or password is wrong")

    def ask(self, challenge):
        self.say(334, challenge)
        return self.line()

    def do_mail(self, rest):
        self.forget()
        self.sender = rest[len("FROM:"):].split(">")[0].lstrip("<")
        self.say(250, "2.1.0 ok")

    def do_rcpt(self, rest):
        address = rest[len("TO:"):].split(">")[0].lstrip("<")
        if address.startswith("nobody@"):
            self.say(550, f"5.1.1 there is no <{address}> here")
            return
        self.recipients.append(address)
        self.say(250, "2.1.5 ok")

    def do_data(self, _):
        if not self.recipients:
            self.say(503, "5.5.1 to whom?")
            return
        self.say(354, "go on, end with a dot")
        lines, size = [], 0
        while True:
            raw = self.file.readline(LONGEST)
            size += len(raw)
            if not raw or size > LONGEST:
                raise Gone
            if raw == b".\r\n":
                break
            lines.append(raw[1:] if raw.startswith(b".") else raw)
        first = self.recipients[0].split("@")[0]
        if first == "drop":
            return False
        if first == "slow":
            time.sleep(60)
        if first == "full":
            self.say(452, "4.2.2 the mailbox is full")
            return True
        entry = {"time": time.time(), "port": self.server.kind, "secure": self.secure, "user": self.user,
                 "from": self.sender, "to": self.recipients, "data": b"".join(lines).decode("latin-1")}
        with self.lock, open(self.kept, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        self.say(250, "2.0.0 taken")
        self.forget()
        return True

    def do_rset(self, _):
        self.forget()
        self.say(250, "2.0.0 ok")

    def do_noop(self, _):
        self.say(250, "2.0.0 ok")

    def do_quit(self, _):
        self.say(221, "2.0.0 bye")
        return False


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, kind, handler=Session):
        super().__init__(("127.0.0.1", 0), handler)
        self.kind = kind

    def handle_error(self, request, client_address):
        """A peer that went away or broke the handshake is no trouble of ours."""
        print(f"{self.kind} {client_address}: {sys.exc_info()[1]!r}", file=sys.stderr)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        Session.config = config = json.load(file)
    Session.kept = config["kept"]
    Session.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Session.context.load_cert_chain(config["certificate"], config["key"])
    servers = [Server(kind) for kind in ("starttls", "smtps", "clear")]
    write_private(config["ports"], json.dumps({s.kind: s.server_address[1] for s in servers}))
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    os.umask(0o077)
    main()
