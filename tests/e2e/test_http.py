"""HTTP from a playbook: listings of pages, uploads."""

import email
import email.policy
import http.server
import json
import os
import shutil
import sys
import tempfile
import threading
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402

ITEMS = list(range(25))


class Handler(http.server.BaseHTTPRequestHandler):
    """A listing of 25 items, told of in three ways; and a place to put things."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, value, status=200, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        at = int(query.get("at", 0))
        page, after = ITEMS[at:at + 10], at + 10
        more = after < len(ITEMS)
        if parts.path == "/v1/linked":
            link = f'<{self.server.base}/v1/linked?at={after}>; rel="next"' if more else '</v1/linked>; rel="first"'
            self.answer(page, headers=[("Link", link)])
        elif parts.path == "/v1/fielded":
            self.answer({"data": page, "meta": {"next": f"/v1/fielded?at={after}" if more else None}})
        elif parts.path == "/v1/cursor":
            self.answer({"data": page, "cursor": str(after) if more else None})
        elif parts.path == "/v1/leaving":
            self.answer(page, headers=[("Link", f'<{self.server.elsewhere}/v1/linked>; rel="next"')])
        else:
            self.answer({"error": "no such thing"}, 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.put.append((self.path, self.headers.get("Content-Type"), body))
        self.answer({"bytes": len(body)})

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.put.append((self.path, self.headers.get("Content-Type"), body))
        self.answer({"bytes": len(body)}, 201)


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.put = [], []
    server.base = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Http(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-http-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.server, self.other = serve(), serve()
        self.server.elsewhere = self.other.base
        for server in (self.server, self.other):
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)
        os.mkdir(os.path.join(self.room, "environments"))
        self.write("environments/trial.lua", 'return { http = { api = { base = "%s/v1", bearer = secret.env "ADMIN_TOKEN" } } }'
                   % self.server.base)

    def write(self, name, text):
        path = os.path.join(self.room, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def play(self, body, *words):
        path = self.write("web.lua", 'playbook { title = "Web" }\nstep("Ask", function(p)\n' + body + "\nend)\n")
        return self.opsrun("play", path, "--config", self.room, "-e", "trial", *words)


LIST = """local sum, count = 0, 0
for page in http "api":pages(%s) do
  for _, n in ipairs(page.items) do sum, count = sum + n, count + 1 end
end
show(count .. " items, sum " .. sum)"""


class Pages(Http):

    def test_each_way_to_the_next_page_gives_every_item_once(self):
        for arguments in ('"/linked"', '"/fielded", { items = "data", next = "meta.next" }',
                          '"/cursor", { items = "data", next = { cursor = "cursor", as = "at" } }',
                          '"/cursor", { items = "data", next = { page = "at", from = 0, step = 10 } }'):
            self.server.seen.clear()
            done = self.play(LIST % arguments)
            self.expect(done, code=0, out=["25 items, sum 300"])
            self.assertIn(len(self.server.seen), (3, 4), self.server.seen)
            self.assertEqual({token for _, token in self.server.seen}, {"Bearer " + self.lab.env["ADMIN_TOKEN"]})
            kinds = [r["kind"] for r in self.journal(self.run_ids()[-1]) if r["type"] == "effect.end"]
            self.assertEqual(kinds, ["http.get"] * len(self.server.seen))

    def test_a_dry_run_reads_them_too(self):
        self.expect(self.play(LIST % '"/linked"', "-n"), code=0, out=["25 items"])

    def test_a_page_of_another_origin_is_not_asked_for(self):
        done = self.play(LIST % '"/leaving"')
        self.expect(done, code=5, text=["it leads to '" + self.other.base, r"web\.lua:4"])
        self.assertEqual(self.other.seen, [])

    def test_wrong_options_name_the_line(self):
        self.expect(self.play(LIST % '"/linked", { next = 5 }'), code=1, text=[r"web\.lua:4", "http.pages: option 'next'"])
        self.expect(self.play(LIST % '"/linked", { itms = "x" }'), code=1, text=["did you mean 'items'"])


class Files(Http):

    def test_a_file_is_sent_as_it_is_and_never_held_whole(self):
        path = os.path.join(self.room, "big.bin")
        block = os.urandom(1 << 20)
        with open(path, "wb") as file:
            for _ in range(64):
                file.write(block)
        done = self.play('local r = http "api":put("/up", { file = %s })\nshow(r.json.bytes .. " bytes taken")' % json.dumps(path))
        self.expect(done, code=0, out=[f"{64 << 20} bytes taken"])
        (where, kind, body), = self.server.put
        self.assertEqual((where, kind, body == block * 64), ("/v1/up", "application/octet-stream", True))
        begin = next(r for r in self.journal(self.run_ids()[-1]) if r["type"] == "effect.begin")
        self.assertEqual((begin["token"]["file"], begin["token"]["bytes"]), (path, 64 << 20))

    def test_a_dry_run_shows_the_file_and_its_size(self):
        path = self.write("small.txt", "12345")
        done = self.play('http "api":put("/up", { file = %s })' % json.dumps(path), "-n")
        self.expect(done, code=0, out=["small.txt, 5 bytes"])
        self.assertEqual(self.server.put, [])

    def test_an_empty_file_is_a_body_too_and_its_type_may_be_given(self):
        path = self.write("empty.txt", "")
        done = self.play('http "api":put("/up", { file = %s, headers = { ["Content-Type"] = "text/plain" } })' % json.dumps(path))
        self.expect(done, code=0)
        self.assertEqual(self.server.put, [("/v1/up", "text/plain", b"")])

    def test_what_cannot_be_sent_is_told_before_anything_is(self):
        for name, why in (("/nonexistent/x", "[Nn]o such file"), ("/", "no regular file"), ("/dev/zero", "no regular file")):
            self.expect(self.play('http "api":put("/up", { file = "%s" })' % name), code=1, text=[why])
        self.expect(self.play('http "api":get("/linked", { file = "/etc/hostname" })'), code=5, text=["carries no body"])
        self.expect(self.play('http "api":put("/up", { file = "/etc/hostname", body = "x" })'), code=1, text=["both a body"])
        self.assertEqual(self.server.put, [])


class Forms(Http):

    def post(self, form, *words):
        return self.play('http "api":post("/form", { form = %s })' % form, *words)

    def parts(self):
        """Of the one form that came: {name: [(filename, type, content)]}."""
        (_, kind, body), = self.server.put
        whole = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP)
        self.assertEqual((whole.get_content_type(), whole.defects), ("multipart/form-data", []))
        found = {}
        for part in whole.iter_parts():
            name = part.get_param("name", header="content-disposition")
            found.setdefault(name, []).append((part.get_filename(), part.get_content_type(), part.get_payload(decode=True)))
        return found

    def test_files_and_fields_arrive_as_they_are(self):
        path, data = os.path.join(self.room, "dump.bin"), os.urandom(100_000) + b"\r\n--opsrun-\r\n"
        with open(path, "wb") as file:
            file.write(data)
        done = self.post('{ title = "größer\\nals", n = 5, tags = { "a", "b" }, dump = { file = %s, type = "application/gzip" },'
                         ' logs = { { file = %s, name = "one\\"x.log" }, { file = %s, name = "two.log" } } }' % ((json.dumps(path),) * 3))
        self.expect(done, code=0)
        parts = self.parts()
        self.assertEqual(sorted(parts), ["dump", "logs", "n", "tags", "title"])
        self.assertEqual(parts["dump"], [("dump.bin", "application/gzip", data)])
        self.assertEqual([name for name, _, _ in parts["logs"]], ["one%22x.log", "two.log"])
        self.assertEqual([p[2] for p in parts["tags"]], [b"a", b"b"])
        self.assertEqual(parts["title"][0][2], "größer\nals".encode())
        begin = next(r for r in self.journal(self.run_ids()[-1]) if r["type"] == "effect.begin")
        self.assertEqual([f["bytes"] for f in begin["token"]["files"]], [len(data)] * 3)

    def test_no_name_breaks_out_of_its_header(self):
        path = self.write("x", "content")
        for tail in ('\\r\\nX-Evil: 1', '\\"; filename=\\"y', '\\r\\n\\r\\nbody'):
            self.server.put.clear()
            self.expect(self.post('{ ["a%s"] = { file = %s, name = "f" } }' % (tail, json.dumps(path))), code=0)
            (_, _, body), = self.server.put
            head = body.split(b"\r\n\r\n")[0].split(b"\r\n")
            self.assertEqual((len(head), head[1].count(b'"')), (3, 4), head)
        self.server.put.clear()
        for given in ('name = "a\\r\\nb"', 'type = "x\\r\\nX-Evil: 1"', 'type = "nothing"', "kind = 5"):
            self.expect(self.post("{ a = { file = %s, %s } }" % (json.dumps(path), given)), code=1, text=["option 'form': 'a'"])
        self.assertEqual(self.server.put, [])

    def test_a_dry_run_shows_the_parts_and_what_is_missing_is_told_before(self):
        path = self.write("small.txt", "12345")
        self.expect(self.post("{ a = 1, b = { file = %s } }" % json.dumps(path), "-n"), code=0, out=["a: 1", "b: .*small.txt, 5 bytes"])
        self.expect(self.post('{ b = { file = "/nonexistent/x" } }'), code=1, text=["[Nn]o such file"])
        self.assertEqual(self.server.put, [])


if __name__ == "__main__":
    main()
