"""Services of Vercel and Netlify, over a stand-in that speaks their documented APIs: looked at, redeployed, rolled back,
turned away, cut off and killed in the middle; what arrived is found out and made once."""

import json
import os
import socket
import sys
import threading
import types
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from author import AuthorTest  # noqa: E402
from harness import OPSRUN, main, wait_until  # noqa: E402
import platforms  # noqa: E402

HEADER = 'playbook { title = "Trial" }\n'
TOKEN = "lab-token-of-the-platforms"
POSTS = {"vercel": "POST /v13/deployments", "netlify": "POST /api/v1/sites/lab-site/builds"}
RELEASE = {"vercel": "POST /v1/projects/prj_lab/rollback/dpl_0044",
           "netlify": f"POST /api/v1/sites/lab-site/deploys/{44:024x}/restore"}
OLDER = {"vercel": "dpl_0044", "netlify": f"{44:024x}"}
NEWEST = {"vercel": "dpl_0045", "netlify": f"{45:024x}"}


class Providers(AuthorTest):
    """No lab: the stand-in alone, one a test."""

    @classmethod
    def setUpClass(cls):
        if not os.access(OPSRUN, os.X_OK):
            raise AssertionError(f"'{OPSRUN}' is not there: ./dev build")
        cls.lab = types.SimpleNamespace(env={})

    def setUp(self):
        super().setUp()
        listener = socket.create_server(("127.0.0.1", 0))
        self.server = platforms.serve(listener, TOKEN)
        self.base = "http://127.0.0.1:%d" % listener.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.words = self.environment(f'''return {{
          http = {{
            vercel  = {{ base = "{self.base}", bearer = secret.env "VERCEL_TOKEN" }},
            netlify = {{ base = "{self.base}/api/v1", bearer = secret.env "NETLIFY_TOKEN" }},
          }},
          services = {{
            vercel  = {{ vercel = "prj_lab", team = "team_lab", http = "vercel", timeout = "20s" }},
            domain  = {{ vercel = "shop", team = "team_lab", domain = "shop.example.com", http = "vercel" }},
            netlify = {{ netlify = "lab-site", http = "netlify", timeout = "20s" }},
            nobody  = {{ netlify = "no-such-site", http = "netlify" }},
          }},
        }}''')

    def environ(self, **more):
        return {**super().environ(), "VERCEL_TOKEN": TOKEN, "NETLIFY_TOKEN": TOKEN, **more}

    def tell(self, **wish):
        with urllib.request.urlopen(self.base + "/_lab/state", data=json.dumps(wish).encode(), timeout=10) as answer:
            return json.load(answer)

    def calls(self, beginning=""):
        with urllib.request.urlopen(self.base + "/_lab/requests", timeout=10) as answer:
            return [r for r in json.load(answer) if r["call"].startswith(beginning)]

    def trial(self, body, *words, **more):
        return self.play(f'step("Try", function(p)\n{body}\nend)\n', *self.words, *words, header=HEADER, **more)


class Looked(Providers):

    def test_what_serves_and_what_could_is_told_page_after_page(self):
        for name in ("vercel", "netlify"):
            done = self.trial(f'''
              local status, all = service "{name}":status(), service "{name}":releases {{ limit = 45 }}
              return {{ status.state, status.release, status.hosts[1].host, #all, all[2].id, all[2].text, all[3].state,
                       all[1].serves, all[2].serves, all[45].commit }}''')
            self.expect(done, code=0, absent=["declared"])
            self.assertEqual(self.kept("try")[:6], ["active", NEWEST[name], name, 45, OLDER[name], "Change number 44"])
            self.assertEqual(self.kept("try")[6:9], [{"vercel": "error", "netlify": "error"}[name], True, False])
            self.assertEqual(self.kept("try")[9], platforms.commit_of(1))
        self.assertEqual(len(self.calls("GET /v6/deployments")), 3)
        self.assertEqual(len(self.calls("GET /api/v1/sites/lab-site/deploys")), 3)

    def test_a_domain_is_asked_what_it_serves(self):
        self.expect(self.trial('return service "domain":status().release'), code=0)
        self.assertEqual(self.kept("try"), NEWEST["vercel"])
        self.assertEqual(len(self.calls("GET /v13/deployments/shop.example.com")), 1)

    def test_a_dry_run_sends_nothing_and_shows_the_exact_requests(self):
        done = self.trial(f'''service "vercel":restart()
          service "vercel":release "{OLDER["vercel"]}"
          service "netlify":restart()
          service "netlify":release "{OLDER["netlify"]}"''', "-n")
        self.expect(done, code=0, out=[
            "WOULD restart vercel \\(Vercel project prj_lab\\)", "/v13/deployments\\?forceNew=1&teamId=team_lab",
            '"deploymentId":"dpl_0045"', "WOULD release dpl_0044 of vercel", "/v1/projects/prj_lab/rollback/dpl_0044",
            "/sites/lab-site/builds\\?title=opsrun", f"/deploys/{OLDER['netlify']}/restore"])
        self.assertEqual(self.calls("POST"), [])

    def test_the_token_is_nowhere_in_what_a_run_leaves(self):
        self.expect(self.trial('service "vercel":restart { settle = 0 }'), code=0)
        self.assertEqual([path for path, text in self.everything().items() if TOKEN.encode() in text], [])


class Changed(Providers):

    def test_a_restart_is_one_deployment_and_over_when_it_serves(self):
        for name in POSTS:
            done = self.trial(f'return service "{name}":restart({{ settle = "100ms" }}).release')
            self.expect(done, code=0, out=[f"changed +restart {name}"])
            self.assertEqual(self.kept("try"), self.tell()[name]["serving"])
            self.assertNotEqual(self.kept("try"), NEWEST[name])
            self.assertEqual(len(self.calls("POST")), 1 if name == "vercel" else 2)

    def test_a_release_goes_back_and_forth_and_what_serves_already_is_not_sent(self):
        for name in POSTS:
            done = self.trial(f'''service "{name}":release("{OLDER[name]}", {{ settle = 0 }})
              local there = service "{name}":release("{OLDER[name]}", {{ settle = 0 }}).release
              return {{ there, service "{name}":release("{NEWEST[name]}", {{ settle = 0 }}).release }}''')
            self.expect(done, code=0)
            self.assertEqual(self.kept("try"), [OLDER[name], NEWEST[name]])
        self.assertEqual([c["call"].split("/", 2)[2] for c in self.calls("POST /v")],
                         ["projects/prj_lab/rollback/dpl_0044", "projects/prj_lab/promote/dpl_0045"])
        self.assertEqual(len(self.calls("POST /api")), 2)

    def test_a_project_is_paused_and_serves_again(self):
        done = self.trial('''local stopped = service "vercel":stop().state
          return { stopped, service "vercel":start({ settle = 0 }).state }''')
        self.expect(done, code=0)
        self.assertEqual(self.kept("try"), ["inactive", "active"])

    def test_what_a_platform_cannot_do_is_skipped_aloud(self):
        self.expect(self.trial('service "netlify":stop()'), code=0, out=["skipped: 'netlify' is a Netlify site lab-site, which has no 'stop'"])
        self.expect(self.trial('service "vercel":scale(3)'), code=0, out=["skipped: .* has no 'scale'"])

    def test_a_build_that_fails_is_told_with_its_reason_and_what_served_serves_on(self):
        for name in POSTS:
            self.tell(**{name: {"fail_builds": True}})
            self.expect(self.trial(f'service "{name}":restart()'), code=1, text=["is not as it should be after restart: failed", "exit"])
            self.assertEqual(self.tell()[name]["serving"], NEWEST[name])

    def test_a_restart_that_would_not_go_live_is_not_sent(self):
        self.expect(self.trial(f'service "vercel":release("{OLDER["vercel"]}", {{ settle = 0 }})'), code=0)
        self.expect(self.trial('service "vercel":restart()'), code=1, text=["it was rolled back to dpl_0044: no new deployment goes live"])
        self.tell(netlify={"held": "locked"})
        self.expect(self.trial('service "netlify":restart()'), code=1, text=["is locked: no new one is published"])
        self.assertEqual(len(self.calls("POST")), 1)


class Refused(Providers):

    def test_what_is_not_there_or_not_ready_is_said_before_anything_is_sent(self):
        self.expect(self.trial('service "vercel":release "dpl_9999"'), code=1, text=["there is no release 'dpl_9999'"])
        self.expect(self.trial(f'service "netlify":release "{43:024x}"'), code=1, text=[f"release '{43:024x}' is error"])
        self.expect(self.trial('service "nobody":restart()'), code=1, text=["nothing is deployed yet|is not there: no such site"])
        self.expect(self.trial('note(service "nobody":status().state)'), code=0, out=["missing"])
        self.expect(self.trial('service "vercel":release "../../x"'), text=["expected a release"])
        self.assertEqual(self.calls("POST"), [])

    def test_a_wrong_token_is_told_by_the_connection_that_holds_it(self):
        done = self.trial('service "netlify":restart()', env={"NETLIFY_TOKEN": "another-token"})
        self.expect(done, code=1, text=["answered 401: Access Denied", "bearer of http connection 'netlify'"])
        done = self.trial('service "vercel":status()', env={"VERCEL_TOKEN": "another-token"})
        self.expect(done, code=1, text=["answered 403: Not authorized", "token of http connection 'vercel'"])
        self.assertEqual(self.calls("POST"), [])

    def test_a_limit_on_requests_is_waited_for_also_by_a_change(self):
        for name, post in POSTS.items():
            before = len(self.calls())
            self.tell(refuse=2, seconds=1)
            self.expect(self.trial(f'service "{name}":restart {{ settle = 0 }}'), code=0)
            self.assertEqual(len(self.calls(post)), 1, self.calls()[before:])
        self.tell(refuse=100, seconds=3600)
        self.expect(self.trial('service "netlify":status()'), code=1, text=["answered 429", "takes requests again in 3[56]\\d\\d s"])

    def test_a_trouble_that_passes_does_not_end_a_look(self):
        self.tell(fail={"GET /v9/projects": 503})
        self.expect(self.trial('return service "vercel":status().state'), code=0)
        self.assertEqual(self.kept("try"), "active")


class InDoubt(Providers):

    def test_an_answer_that_never_comes_is_made_good_by_looking_and_nothing_is_sent_twice(self):
        for name, post in POSTS.items():
            self.tell(lose=post)
            self.expect(self.trial(f'service "{name}":restart {{ settle = 0 }}'), code=0)
            self.assertEqual(len(self.calls(post)), 1)
            self.tell(lose=RELEASE[name])
            self.expect(self.trial(f'service "{name}":release("{OLDER[name]}", {{ settle = 0 }})'), code=0)
            self.assertEqual(self.tell()[name]["serving"], OLDER[name])

    def killed(self, name, verb, post):
        """Kills opsrun while the stand-in holds back its answer to what it has done; returns the run."""
        self.tell(hold=post, hold_seconds=2)
        path = self.write("books/killed.lua", HEADER + f'step("Try", function()\n  return service "{name}":{verb}.release\nend)\n')
        before = len(self.calls(post))
        process = self.start("play", path, *self.words)
        self.assertTrue(wait_until(lambda: len(self.calls(post)) > before, within=20))
        process.kill()
        process.communicate()
        return self.run_ids()[-1]

    def test_a_request_that_a_killed_run_sent_is_found_out_and_not_sent_again(self):
        for name, post in POSTS.items():
            for verb, sent in (("restart { settle = 0 }", post), (f'release("{OLDER[name]}", {{ settle = 0 }})', RELEASE[name])):
                with self.subTest(name=name, verb=verb):
                    run = self.killed(name, verb, sent)
                    before = self.tell()[name]["count"]
                    self.expect(self.opsrun("resume", run, env={}), code=0)
                    self.assertEqual(len(self.calls(sent)), 1)
                    self.assertEqual(self.tell()[name]["count"], before)
                    resolved = [r for r in self.journal(run) if r.get("resolved")]
                    self.assertEqual([r["resolved"] for r in resolved], ["found out"])

    def killed_unheard(self, name):
        """A run that is killed after it asked for a deployment of which nothing came; returns the run."""
        self.tell(fail={POSTS[name]: 500})
        path = self.write("books/killed.lua", HEADER + f'step("Try", function() service "{name}":restart {{ settle = 0 }} end)\n')
        process = self.start("play", path, *self.words)
        self.assertTrue(wait_until(lambda: self.calls(POSTS[name]), within=20))
        process.kill()
        process.communicate()
        return self.run_ids()[-1]

    def test_a_request_that_never_arrived_is_made_and_a_colleagues_push_is_not_taken_for_it(self):
        run = self.killed_unheard("vercel")
        platform = self.server.RequestHandlerClass.state.platforms["vercel"]
        pushed = platform.make("a colleague's push", {})["id"]
        self.assertTrue(wait_until(lambda: self.tell()["vercel"]["serving"] == pushed))
        done = self.opsrun("resume", run)
        self.expect(done, code=0)
        self.assertEqual(len(self.calls(POSTS["vercel"])), 2)
        self.assertEqual(self.tell()["vercel"], {"serving": "dpl_0047", "held": None, "count": platforms.DEPLOYMENTS + 2})


if __name__ == "__main__":
    main()
