"""The lab's S3 server: started by the first who connects, since most tests want none.

Its socket listens from the beginning; a small process waits at it and becomes the server when somebody
comes (s3/wait.py, s3/server.js). What it got stays in the lab's directory until the lab goes down.
"""

import json
import os
import shutil
import socket
import sys
import urllib.request

from processes import write_private

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "s3-peer", "node_modules")
BUCKET = "lab-backups"
REGION = "us-east-1"
KEY = "lab-operator"


def is_installed():
    """./dev setup --test gets it."""
    return shutil.which("node") is not None and os.path.isdir(MODULES)


def start(lab, port):
    """Opens the socket and leaves somebody waiting at it. Raises OSError when the port is taken."""
    settings = lab.path("s3.json")
    write_private(settings, json.dumps({
        "directory": lab.path("s3"), "log": lab.path("s3.requests"), "bucket": BUCKET, "key": KEY,
        "secret": lab.facts["token"]}))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        waiter, server = (os.path.join(HERE, "s3", name) for name in ("wait.py", "server.js"))
        # s3rver makes the tokens of its pages with DES, which OpenSSL 3 keeps apart
        command = ["node", "--openssl-legacy-provider", server, MODULES, settings]
        lab.processes.start("s3", [sys.executable, "-SE", waiter, str(listener.fileno()), *command],
                            lab.path("s3.log"), keep=(listener.fileno(),))


def put(lab, key, body):
    """Uploads one object, signed the way AWS wants it (version 4)."""
    import datetime
    import hashlib
    import hmac

    def sign(secret, text):
        return hmac.new(secret, text.encode(), hashlib.sha256).digest()

    host, path = f"127.0.0.1:{lab.facts['s3']}", f"/{BUCKET}/{key}"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = (now[:8], REGION, "s3", "aws4_request")
    digest = hashlib.sha256(body).hexdigest()
    signed = "host;x-amz-content-sha256;x-amz-date"
    request = (f"PUT\n{path}\n\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n"
               f"{signed}\n{digest}")
    secret = f"AWS4{lab.facts['token']}".encode()
    for part in scope:
        secret = sign(secret, part)
    signature = sign(secret, f"AWS4-HMAC-SHA256\n{now}\n{'/'.join(scope)}\n"
                             f"{hashlib.sha256(request.encode()).hexdigest()}").hex()
    login = f"AWS4-HMAC-SHA256 Credential={KEY}/{'/'.join(scope)}, SignedHeaders={signed}, Signature={signature}"
    with urllib.request.urlopen(urllib.request.Request(
            f"http://{host}{path}", data=body, method="PUT", headers={
                "x-amz-content-sha256": digest, "x-amz-date": now, "Authorization": login,
                "Content-Type": "application/octet-stream"}), timeout=30):
        pass


def stored(lab, key):
    """The file the server keeps an object in; its time is the object's."""
    return lab.path("s3", BUCKET, *f"{key}._S3rver_object".split("/"))


def environment(lab):
    """What `lab env` says of it."""
    if not lab.facts.get("s3"):
        return {}
    return {"S3_URL": f"http://127.0.0.1:{lab.facts['s3']}", "S3_BUCKET": BUCKET, "S3_KEY": KEY,
            "S3_SECRET": lab.facts["token"], "S3_REQUESTS": lab.path("s3.requests"), "S3_FILES": lab.path("s3", BUCKET)}
