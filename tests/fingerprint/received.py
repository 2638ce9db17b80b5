"""What others received, as {place: text}: requests to the application and its hooks, mails, objects and requests
of the S3 server, commands that ran on the other machines and in the lab's docker."""

import json
import os
import re
import urllib.error
import urllib.request

import tree



def numbered(place, lines):
    """Each line a place of its own: one more of the same is a difference, too."""
    counts = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    return {f"{place}/{line}": str(count) for line, count in counts.items()}


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def requests(url):
    try:
        with urllib.request.urlopen(f"{url}/_lab/requests", timeout=10) as answer:
            told = json.load(answer)
    except urllib.error.URLError as error:
        return {"http/nobody listens": type(error.reason).__name__}      # scenario app-down
    return numbered("http", (f"{r['method']} {r['path']}" + (f" with {len(r['body'])} bytes" if r["body"] else "") for r in told))


def docker_command(argv):
    """"ps", and of compose its own command, "compose ps": options and files stand before it."""
    if argv[0] != "compose":
        return argv[0]
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-"):
            return f"compose {word}"
        if "=" not in word:
            next(words, None)
    return "compose"


def look(env, directory):
    found = requests(env["APP_URL"])
    found |= numbered("mail", (str(json.loads(line)["to"]) for line in lines_of(env["MAILS"])))
    found |= numbered("s3/requests", (line.split()[0] for line in lines_of(env.get("S3_REQUESTS", ""))))
    if os.path.isdir(env.get("S3_FILES", "")):
        found |= tree.look("s3/objects", env["S3_FILES"])
    for name in ("web1", "web2"):
        log = lines_of(os.path.join(directory, "ssh", f"{name}.log"))
        found |= numbered(f"ssh/{name}", (line.split(" for ")[0] for line in log if re.match("Starting session: ", line)))
    found |= numbered("docker", (docker_command(json.loads(line)["argv"]) for line in lines_of(os.path.join(directory, "docker.log"))))
    return found
