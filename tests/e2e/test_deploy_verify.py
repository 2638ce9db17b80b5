"""Playbook deploy/verify: what is sick, of another version, or fails too often does not pass; what passes is remembered."""

import json
import os
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from test_rollback import RollbackTest  # noqa: E402


class Verified(RollbackTest):
    VERIFY = ("play", "deploy/verify.lua", "-e", "lab", "-p", "watch=300ms", "-p", "poll=100ms")

    def test_live_what_is_sick_slow_or_of_another_version_does_not_pass(self):
        self.expect(self.opsrun(*self.VERIFY), code=1, text=["Ask how it is", "status at /health"])
        self.lab.mend()
        self.expect(self.opsrun(*self.VERIFY, "-p", "version=v7"), code=1, text=["version"])
        self.expect(self.opsrun(*self.VERIFY, "-p", "endpoints=/api/health,/no/such/page"), code=1, text=["/no/such/page"])
        body = json.dumps({"numbers": {"analytics": {"error_rate": 4.5}}}).encode()
        urllib.request.urlopen(self.lab.env["APP_URL"] + "/_lab/state", data=body, timeout=20).close()
        self.expect(self.opsrun(*self.VERIFY), code=1, text=["CRITICAL +error rate 4.5"])
        done = self.opsrun(*self.VERIFY, "-p", "error=5")
        self.expect(done, code=0, out=["OK +error rate 4.5", "OK +status at /health healthy"])


if __name__ == "__main__":
    main()
