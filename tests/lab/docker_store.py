"""What the lab's pretend docker keeps while a scenario has left something behind: containers that ended, images, volumes.

It is no engine; it knows the words the standard library uses, and docker's refusals: what is used is not removed.
"""

import json
import os
import re
import sys
import time

DAY = 86400


def stamp(days):
    return time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime(time.time() - days * DAY))


def fill(lab):
    containers = [{"Id": char * 64, "Name": f"/{name}", "Image": image, "State": {"FinishedAt": stamp(days)}}
                  for char, name, image, days in (("a", "migrate-1", "shop:1", 12), ("b", "worker-old", "shop:1", 3),
                                                  ("c", "worker-stopped", "shop:2", 0.2))]
    images = [{"Id": f"sha256:{char * 64}", "Created": stamp(days), "names": names}
              for char, days, names in (("d", 60, []), ("e", 0.1, []), ("1", 30, ["shop:1"]), ("2", 2, ["shop:2"]))]
    volumes = [{"Name": "shop-cache", "Mountpoint": "/volumes/shop-cache"}, {"Name": "shop-db", "Mountpoint": "/volumes/shop-db"}]
    save(lab, {"container": containers, "image": images, "volume": volumes, "used": ["shop-db"]})


def empty(lab):
    if os.path.exists(lab.path("docker.json")):
        os.unlink(lab.path("docker.json"))


def save(lab, store):
    with open(lab.path("docker.json"), "w", encoding="utf-8") as file:
        json.dump(store, file)


def render(form, item):
    """The few words of Go's templates that are needed: {{json .A.B}}."""
    def value(match):
        found = item
        for name in match[1].split("."):
            found = found[name]
        return json.dumps(found)
    return re.sub(r"{{json \.([\w.]+)}}", value, form)


def is_named(item, word):
    return word in (item.get("Id"), item.get("Name", "").lstrip("/")) or word in item.get("names", ())


def remove(lab, store, kind, names):
    for name in names:
        item = next((i for i in store[kind] if is_named(i, name)), None)
        if item is None:
            print(f"Error response from daemon: No such {kind}: {name}", file=sys.stderr)
            return 1
        users = [c["Name"] for c in store["container"] if kind == "image" and c["Image"] in item["names"]]
        if users or (kind == "volume" and name in store["used"]):
            print(f"Error response from daemon: conflict: {kind} {name} is in use by {users}", file=sys.stderr)
            return 1
        store[kind].remove(item)
        save(lab, store)
        print(name)
    return 0


def answer(lab, words):
    """The exit code, or None: nothing of the kind was asked, or nothing was left behind."""
    if not os.path.exists(lab.path("docker.json")):
        return None
    with open(lab.path("docker.json"), encoding="utf-8") as file:
        store = json.load(file)
    if words[0] == "rm":
        return remove(lab, store, "container", words[1:])
    if words[0] in ("image", "volume") and words[1] == "rm":
        return remove(lab, store, words[0], words[2:])
    if words[0] == "ps" and "--quiet" in words:
        print("\n".join(c["Id"] for c in store["container"]))
        return 0
    if words[:2] == ["image", "ls"]:
        print("\n".join(i["Id"] for i in store["image"] if not i["names"]))
        return 0
    if words[:2] == ["system", "df"]:
        print(f"TYPE TOTAL\nImages {len(store['image'])}\nContainers {len(store['container'])}")
        return 0
    if len(words) > 1 and words[1] == "inspect":
        form = words[3] if words[2] == "--format" else None
        for word in words[4 if form else 2:]:
            item = next((i for i in store[words[0]] if is_named(i, word)), None)
            if item is None:
                print(f"Error: No such {words[0]}: {word}", file=sys.stderr)
                return 1
            print(render(form, item) if form else json.dumps([item], indent=1))
        return 0
    return None
