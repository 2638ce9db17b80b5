"""W4: are 500 services healthy?"""

import socket

from workload import Workload as Base


class Workload(Base):
    title = "500 checks over HTTP"
    about = ("500 addresses are asked, up to 50 at a time, and the status in each answer is judged. A service takes 10 ms to"
             " answer; the last two rows: one that takes none, where nothing but the client is left. C: curl's multi interface. Python: requests in 50 threads. bash: xargs and curl. Ansible: uri in a loop,"
             " over 20 of the 500.")
    against_c = 1.2
    c_packages = ("libcurl",)
    parts = {"Ansible": 25}

    def prepare(self, place):
        server = place.compiled(self.path("server.c"))

        def listens(port):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
            return True
        ports = [place.serve(f"checks-{delay}", lambda port, delay=delay: [server, str(port), delay], listens)
                 for delay in ("10", "0")]
        self.checks = 50 if self.small else 500
        place.env |= {"BENCH_CHECKS_URL": f"http://127.0.0.1:{ports[0]}",
                      "BENCH_INSTANT_URL": f"http://127.0.0.1:{ports[1]}", "BENCH_CHECKS": str(self.checks),
                      "BENCH_FEW_CHECKS": str(self.checks // self.parts["Ansible"])}

    def contestants(self, place):
        self.ours = ("-p", f"checks={self.checks}")
        found = super().contestants(place)
        return {**found, "opsrun, instant answers": [*found["opsrun"], "-p", "api=instant"],
                "C, instant answers": ["sh", "-c", f"BENCH_CHECKS_URL=$BENCH_INSTANT_URL exec {found['C'][0]}"]}

    def same(self, name, answer, ours):
        if name == "Ansible":
            return answer == f"{self.checks // self.parts[name]} healthy"
        return super().same(name, answer, ours)
