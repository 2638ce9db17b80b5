"""Whoever cannot prove who it is gets nothing: bad TLS peers against every client that can be told to use TLS."""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import main  # noqa: E402
import tls_peers  # noqa: E402

SECRET = "a-long-password-of-the-login"

# client: how TLS is agreed on, the connection, and what uses it
CLIENTS = {
    "http": (tls_peers.at_once, 'http = { peer = { base = "https://localhost:%(port)s", ca = "%(ca)s", bearer = secret.env "LOGIN" } }',
             'http "peer":post("/x", { json = { a = 1 } })'),
    "sql": (tls_peers.postgres, 'sql = { peer = { url = secret.env "PEER_URL" } }', 'sql "peer":value "SELECT 1"'),
    "redis": (tls_peers.at_once,
              'redis = { peer = { url = "rediss://localhost:%(port)s/0", ca = "%(ca)s", password = secret.env "LOGIN" } }',
              'redis "peer":set("a", "1")'),
    "smtp": (tls_peers.starttls, 'smtp = { url = "smtp://localhost:%(port)s", from = "a@lab.example", user = "a", password ='
             ' secret.env "LOGIN", ca = "%(ca)s" }, notify = { peer = { { email = "b@lab.example" } } }', 'notify "peer" "hello"'),
    "smtps": (tls_peers.at_once, 'smtp = { url = "smtps://localhost:%(port)s", from = "a@lab.example", user = "a", password ='
              ' secret.env "LOGIN", ca = "%(ca)s" }, notify = { peer = { { email = "b@lab.example" } } }', 'notify "peer" "hello"'),
}

# peer: what every client must say of it, in one or the other library's words
BAD = {
    "expired": "expired",
    "not_yet": "not yet valid",
    "self_signed": "self.signed",
    "wrong_host": "not for this host name|[Hh]ostname mismatch|does not match host name",
    "no_san": "names no host|not for this host name|[Hh]ostname mismatch",
    "unknown_ca": "authority that is not trusted|unable to get local issuer",
    "bad_chain": "may not sign|invalid CA",
    "cut_chain": "authority that is not trusted|unable to get local issuer",
    "weak_key": "key or signature is too weak|key too weak",
    "tls10": "unsupported protocol|protocol version|TLS",
    "tls11": "unsupported protocol|protocol version|TLS",
}


class Peers(AuthorTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.peers_room = tempfile.mkdtemp(prefix="opsrun-peers-")
        cls.addClassCleanup(shutil.rmtree, cls.peers_room, ignore_errors=True)
        cls.contexts, cls.authority = tls_peers.contexts(cls.peers_room)

    def meet(self, client, name):
        """Plays one use of the client against the peer; how it ended and what the peer got to read."""
        agree, connection, use = CLIENTS[client]
        peer = tls_peers.Peer(self.contexts[name], agree)
        try:
            words = self.environment("return { " + connection % {"port": peer.port, "ca": self.authority} + " }")
            url = f"postgres://ops:{SECRET}@localhost:{peer.port}/app?sslmode=verify-full&sslrootcert={self.authority}"
            header = 'playbook { title = "Trial", uses = { notify = { "peer" } } }\n'
            done = self.step(use, *words, header=header, env={"LOGIN": SECRET, "PEER_URL": url})
        finally:
            peer.close()
        return done, b"".join(peer.came)

    def test_every_bad_peer_is_refused_by_every_client_and_nothing_is_sent(self):
        refused = {client: 0 for client in CLIENTS}
        for client in CLIENTS:
            for name, said in BAD.items():
                with self.subTest(client=client, peer=name):
                    done, came = self.meet(client, name)
                    self.expect(done, code=1, err=[said], absent=[SECRET, "traceback", "bug"])
                    self.assertEqual(came, b"", (client, name))
                    end = [r for r in self.last() if r["type"].startswith("effect.")][-1]
                    self.assertIn(end.get("outcome"), ("not sent", "failed"), end)
                    refused[client] += 1
        print(f"{len(BAD)} bad peers × {len(CLIENTS)} clients: {sum(refused.values())} refused, 0 bytes sent", refused)
        self.assertEqual(sum(refused.values()), len(BAD) * len(CLIENTS))

    def test_the_good_peer_is_spoken_to(self):
        for client, first in (("http", b"POST /x HTTP/1.1"), ("sql", b"user\0ops"), ("redis", b"AUTH"), ("smtp", b"EHLO")):
            _, came = self.meet(client, "good")
            self.assertIn(first, came, client)


if __name__ == "__main__":
    main()
