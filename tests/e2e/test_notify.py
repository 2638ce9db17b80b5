"""Telling people: mail over TLS with a login, PagerDuty events, and who hears how a run ended."""

import email
import email.policy
import json
import os
import shutil
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import LabTest, main  # noqa: E402

ENVIRONMENT = """return {
  label = "trial",
  smtp = { url = %(url)s, from = "opsrun@lab.example", %(more)s ca = %(ca)s },
  notify = {
    mail = { { email = { %(to)s } } },
    pager = { { pagerduty = secret.env "PAGERDUTY_KEY", url = env "PAGERDUTY_URL" } },
    both = { { pagerduty = secret.env "PAGERDUTY_KEY", url = env "PAGERDUTY_URL" }, { email = "nobody@lab.example" } },
    team = { { webhook = env "TEAM_HOOK" } },
    dead = { { webhook = "http://127.0.0.1:1/" } },
  },
}
"""
LOGIN = 'user = "opsrun", password = secret.env "SMTP_PASSWORD",'


class Notify(LabTest):

    def setUp(self):
        super().setUp()
        self.room = tempfile.mkdtemp(prefix="opsrun-notify-")
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        self.seen = len(self.mails())
        urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/reset", timeout=10).close()
        self.environment()

    def write(self, name, text):
        with open(os.path.join(self.room, name), "w", encoding="utf-8") as file:
            file.write(text)
        return os.path.join(self.room, name)

    def environment(self, url='env "SMTP_URL"', more=LOGIN, ca='env "APP_CA"', to='"oncall@lab.example"'):
        os.makedirs(os.path.join(self.room, "environments"), exist_ok=True)
        self.write("environments/trial.lua", ENVIRONMENT % {"url": url, "more": more, "ca": ca, "to": to})

    def play(self, body, *words, header="", env=None):
        text = ('playbook { title = "Telling", uses = { notify = { "mail", "pager", "both" } }, ' + header + " }\n"
                f'step("Tell", function(p)\n{body}\nend)\n')
        return self.opsrun("play", self.write("tell.lua", text), "--config", self.room, "-e", "trial", *words, env=env)

    def mails(self):
        try:
            with open(self.lab.env["MAILS"], encoding="utf-8") as file:
                return [json.loads(line) for line in file]
        except OSError:
            return []

    def new_mails(self):
        return self.mails()[self.seen:]

    def state(self, wish):
        request = urllib.request.Request(self.lab.env["APP_URL"] + "/_lab/state", json.dumps(wish).encode())
        urllib.request.urlopen(request, timeout=10).close()
        self.addCleanup(lambda: urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/reset", timeout=10).close())

    def posted(self, path):
        with urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/requests", timeout=10) as answer:
            return [json.loads(r["body"]) for r in json.load(answer) if r["path"] == path]

    def events(self):
        return self.posted("/pagerduty/v2/enqueue")


class Mail(Notify):

    def test_a_mail_arrives_whole_over_starttls_with_a_login(self):
        done = self.play('notify "mail" ("größer als erwartet:\\n.\\n..two dots\\n" .. ("x"):rep(200),'
                         ' { severity = "warning", title = "Füllstand → 91 %" })')
        self.expect(done, code=0)
        kept, = self.new_mails()
        self.assertEqual((kept["secure"], kept["user"], kept["from"], kept["to"]),
                         (True, "opsrun", "opsrun@lab.example", ["oncall@lab.example"]))
        mail = email.message_from_bytes(kept["data"].encode("latin-1"), policy=email.policy.default)
        self.assertEqual(mail["Subject"], "[warning] Füllstand → 91 %")
        self.assertEqual(mail["To"], "oncall@lab.example")
        self.assertEqual(mail["X-Opsrun-Run"], self.run_ids()[-1])
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        self.assertIsNotNone(mail["Date"].datetime)
        self.assertRegex(mail["Message-ID"], r"^<\w+@lab\.example>$")
        text = mail.get_content().replace("\r\n", "\n")
        self.assertTrue(text.startswith("größer als erwartet:\n.\n..two dots\n" + "x" * 200 + "\n"), text)
        self.assertIn("tell.lua", text)
        self.assertLessEqual(max(map(len, kept["data"].split("\r\n"))), 78)
        self.assertEqual(mail.defects, [])

    def test_tls_from_the_first_byte(self):
        self.environment(url='env "SMTPS_URL"')
        self.expect(self.play('notify "mail" "hello"'), code=0)
        self.assertEqual([(m["port"], m["user"]) for m in self.new_mails()], [("smtps", "opsrun")])

    def test_a_wrong_password_is_told_and_nothing_is_sent(self):
        done = self.play('notify "mail" "hello"', env={"SMTP_PASSWORD": "not-the-right-one"})
        self.expect(done, code=1, text=["refused the login", "535"], absent=["not-the-right-one"])
        self.assertEqual(self.new_mails(), [])

    def test_an_untrusted_server_gets_neither_login_nor_mail(self):
        self.environment(ca='"/etc/ssl/certs/ca-certificates.crt"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["cannot trust 'localhost:"])
        self.assertEqual(self.new_mails(), [])

    def test_a_server_by_another_name_is_not_trusted(self):
        port = self.lab.env["SMTP_URL"].rsplit(":", 1)[1]
        self.environment(url=f'"smtp://127.0.0.2:{port}"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["cannot"])
        self.assertEqual(self.new_mails(), [])

    def test_a_server_without_starttls_gets_nothing(self):
        self.environment(url='env "SMTP_CLEAR_URL"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["STARTTLS"])
        self.assertEqual(self.new_mails(), [])

    def test_clear_text_is_possible_on_loopback_only(self):
        self.environment(url='env "SMTP_CLEAR_URL"', more="clear = true,")
        self.expect(self.play('notify "mail" "hello"'), code=0)
        self.assertEqual([(m["secure"], m["user"]) for m in self.new_mails()], [(False, None)])
        self.environment(url='"smtp://192.0.2.1:25"', more="clear = true,")
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["clear text to another machine"])

    def test_what_the_server_says_of_a_recipient_is_told(self):
        self.environment(to='"oncall@lab.example", "nobody@lab.example"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["550 5.1.1 there is no <nobody@lab.example> here"])
        self.assertEqual(self.new_mails(), [])

    def test_a_full_mailbox_and_a_dead_line_are_told(self):
        self.environment(to='"full@lab.example"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["452 4.2.2 the mailbox is full"])
        self.environment(to='"drop@lab.example"')
        self.expect(self.play('notify "mail" "hello"'), code=1, text=["was lost while the mail was sent"])
        self.environment(to='"slow@lab.example"')
        done = self.play('notify("mail")("hello", { timeout = "1s" })')
        self.expect(done, code=1, text=["no answer from 'localhost:.* within 1s"])
        self.assertLess(done.seconds, 5)

    def test_headers_cannot_be_smuggled_in(self):
        done = self.play('notify "mail" ("text", { title = "a\\r\\nBcc: evil@example.com" })')
        self.expect(done, code=1, text=["'title' is one line"])
        done = self.play('notify "mail" "first\\r\\nBcc: evil@example.com\\r\\n\\r\\nbody"')
        self.expect(done, code=0)
        kept, = self.new_mails()
        self.assertEqual(kept["to"], ["oncall@lab.example"])
        mail = email.message_from_bytes(kept["data"].encode("latin-1"), policy=email.policy.default)
        self.assertEqual((mail["Bcc"], mail["Subject"]), (None, "first"))
        for address in ("a@b.example\\r\\nRCPT TO:<c@d.example>", "a@b.example> SIZE=1", "a b@c.example", "nobody"):
            self.environment(to=f'"{address}"')
            self.expect(self.play('notify "mail" "hello"'), code=4, text=["'email' is not a mail address"])

    def test_a_dry_run_sends_nothing_and_an_environment_without_smtp_says_so(self):
        self.expect(self.play('notify "mail" "hello"', "-n"), code=0, out=["hello"])
        self.assertEqual(self.new_mails(), [])
        self.write("environments/trial.lua", 'return { notify = { mail = { { email = "a@b.example" } } } }')
        self.expect(self.play('notify "mail" "hello"'), code=4, text=["does not say where mails go", "smtp = "])

    def test_files_go_along_with_a_mail_and_other_channels_are_told_their_names(self):
        data, dump = os.urandom(70_001), os.path.join(self.room, "dump größer.bin")
        with open(dump, "wb") as file:
            file.write(data)
        quoted = json.dumps(dump, ensure_ascii=False)
        done = self.play('local path = artifact("report.csv", { { name = "a", n = 1 } })\n'
                         'local r = notify "both" ("the report", { attach = { path, %s } })\n'
                         'show("sent " .. table.concat(r.sent, ",") .. ", without files " .. table.concat(r.not_attached, ","))'
                         % quoted, env={})
        self.expect(done, code=0, out=["went to nobody by pagerduty: only mails carry files"])
        self.assertEqual(self.events()[0]["payload"]["custom_details"]["attachments"], ["report.csv", "dump größer.bin"])
        done = self.play('notify "mail" ("the report", { attach = %s })' % quoted)
        self.expect(done, code=0, absent=["only mails carry"])
        kept = self.new_mails()[-1]
        mail = email.message_from_bytes(kept["data"].encode("latin-1"), policy=email.policy.default)
        text, attached = mail.iter_parts()
        self.assertIn("the report", text.get_content())
        self.assertEqual((attached.get_filename(), attached.get_content()), ("dump größer.bin", data))
        self.assertEqual(mail.defects + attached.defects, [])
        self.assertLessEqual(max(map(len, kept["data"].split("\r\n"))), 78)

    def test_what_cannot_be_attached_is_told_before_anybody_is(self):
        self.expect(self.play('notify "mail" ("x", { attach = "/nonexistent/x" })'), code=1, text=["cannot attach '/nonexistent/x'"])
        big = self.write("big", "x" * (8 << 20))
        self.expect(self.play('notify "mail" ("x", { attach = %s })' % json.dumps(big)), code=1, text=["cannot attach|7 MiB"])
        self.expect(self.play('notify "mail" ("x", { attach = 5 })'), code=1, text=["'attach': expected the path"])
        self.expect(self.play('notify "mail" ("x", { attach = "/etc/hostname" })', "-n"), code=0, out=["attached: /etc/hostname"])
        self.assertEqual(self.new_mails(), [])

    def test_a_secret_in_an_attached_file_is_masked(self):
        path = self.write("leak.txt", "the password is " + self.lab.env["SMTP_PASSWORD"])
        self.expect(self.play('notify "mail" ("first", {})\nnotify "mail" ("x", { attach = %s })' % json.dumps(path)), code=0)
        mail = email.message_from_bytes(self.new_mails()[-1]["data"].encode("latin-1"), policy=email.policy.default)
        self.assertEqual(list(mail.iter_parts())[1].get_content().strip(), "the password is ‹secret:SMTP_PASSWORD›")

    def test_the_password_is_nowhere(self):
        self.play('notify "mail" "hello"', "-vv")
        password = self.lab.env["SMTP_PASSWORD"]
        for place, _, names in os.walk(self.home):
            for name in names:
                with open(os.path.join(place, name), encoding="utf-8", errors="replace") as file:
                    self.assertNotIn(password, file.read(), name)


class PagerDuty(Notify):

    def test_an_event_is_triggered_acknowledged_and_resolved_under_one_key(self):
        done = self.play('notify "pager" ("disk is full", { severity = "high", title = "db1", once = "disk-db1" })\n'
                         'notify "pager" ("disk is full", { once = "disk-db1" })\n'
                         'notify "pager" ("looking", { once = "disk-db1", event = "acknowledge" })\n'
                         'notify "pager" ("over", { once = "disk-db1", event = "resolve" })')
        self.expect(done, code=0)
        trigger, acknowledge, resolve = self.events()
        self.assertEqual([e["event_action"] for e in (trigger, acknowledge, resolve)],
                         ["trigger", "acknowledge", "resolve"])
        self.assertEqual({e["dedup_key"] for e in (trigger, acknowledge, resolve)}, {"disk-db1"})
        payload = trigger["payload"]
        self.assertEqual((payload["summary"], payload["severity"], payload["group"]), ("db1: disk is full", "error", "trial"))
        self.assertEqual(payload["custom_details"]["run"], self.run_ids()[-1])

    def test_severities_are_mapped(self):
        words = ("info", "low", "warning", "medium", "high", "critical")
        self.expect(self.play("\n".join(f'notify "pager" ("x", {{ severity = "{w}" }})' for w in words)
                              + '\nnotify "pager" ("x")'), code=0)
        self.assertEqual([e["payload"]["severity"] for e in self.events()],
                         ["info", "info", "warning", "warning", "error", "critical", "error"])
        self.assertEqual(len({e["dedup_key"] for e in self.events()}), 7)

    def test_a_long_text_is_cut_to_what_the_protocol_takes(self):
        self.expect(self.play('notify "pager" (("ä"):rep(3000))'), code=0)

    def test_what_it_refuses_is_told_without_the_key(self):
        done = self.play('notify "pager" "x"', env={"PAGERDUTY_KEY": "quite-another-key-0123456789"})
        self.expect(done, code=1, text=["answered 400: 'routing_key' is invalid"], absent=["quite-another"])
        self.assertEqual(len(self.events()), 1)

    def test_a_busy_service_is_asked_again_with_the_same_key(self):
        self.state({"status": 429, "paths": ["/pagerduty/v2/enqueue"]})
        self.expect(self.play('notify "pager" "x"'), code=1, text=["answered 429: too many events"])
        self.assertEqual(len(self.events()), 3)
        self.assertEqual(len({e["dedup_key"] for e in self.events()}), 1)

    def test_acknowledge_needs_the_key(self):
        self.expect(self.play('notify "pager" ("x", { event = "resolve" })'), code=1, text=["needs the key"])
        self.expect(self.play('notify "pager" ("x", { event = "close" })'), code=1, text=["'close' is unknown"])

    def test_one_failing_channel_hides_no_other(self):
        done = self.play('local r = notify "both" "x"\nshow(table.concat(r.sent, " ") .. ", not: " .. r.failed[1].message)')
        self.expect(done, code=0, out=["pagerduty, not: .*550 5.1.1"])


class Tell(Notify):
    """The header's tell."""

    def test_who_hears_how_it_ended(self):
        tell = 'tell = { team = "always", mail = "warning", pager = "critical" }'
        self.expect(self.play("", header=tell), code=0)
        self.assertEqual((len(self.posted("/hooks/team")), len(self.new_mails()), len(self.events())), (1, 0, 0))
        self.play('check("used", 85, { above = { warning = 80, critical = 95 } })', header=tell)
        self.assertEqual((len(self.posted("/hooks/team")), len(self.new_mails()), len(self.events())), (2, 1, 0))
        self.expect(self.play('fail "no way"', header=tell), code=1)
        self.assertEqual((len(self.posted("/hooks/team")), len(self.new_mails()), len(self.events())), (3, 2, 1))
        self.assertEqual(self.events()[0]["payload"]["severity"], "critical")
        self.assertIn("no way", self.events()[0]["payload"]["custom_details"]["text"])

    def test_a_dry_run_shows_it_and_sends_nothing(self):
        done = self.play("", "-n", header='tell = { team = "always", pager = "critical" }')
        self.expect(done, code=0, out=["tell team how it ended"])
        self.assertEqual(self.posted("/hooks/team"), [])

    def test_nobody_told_does_not_change_how_it_ended(self):
        done = self.play("", header='tell = { dead = "always" }')
        self.expect(done, code=0, out=["dead was not told"])
        self.expect(self.play('fail "no way"', header='tell = { dead = "always" }'), code=1, out=["dead was not told"])


if __name__ == "__main__":
    main()
