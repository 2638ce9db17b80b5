"""Every example of the documentation is played as it stands there, and prints what it shows.

  python3 tests/e2e/test_examples.py --write PAGE…     writes what they print now into the pages
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import OPSRUN, ROOT, Lab, LabTest, main  # noqa: E402
import examples  # noqa: E402


class Player:
    """Plays examples in the lab."""

    def __init__(self, lab):
        self.lab = lab

    def play(self, argv, directory, home):
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LANG": "C.UTF-8", "USER": "ana", "TERM": "xterm",
               **self.lab.env, "OPSRUN_HOME": home, "OPSRUN_PATH": os.path.join(ROOT, "playbooks"), "LAB_ROOM": directory}
        env.update({k: os.environ[k] for k in ("OPSRUN_RUNTIME_DIR", "ASAN_OPTIONS", "LSAN_OPTIONS") if k in os.environ})
        done = subprocess.run([OPSRUN, *argv], cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        return (done.stdout or done.stderr).decode()

    def turn(self, words):
        self.lab.call(*words, OPSRUN_LAB_SETTLE="2")

    def printed(self, example, console):
        """[(command, lines shown, lines printed)] of one console of an example, played in a room of its own."""
        top = tempfile.mkdtemp(prefix="opsrun-example-")
        try:
            room = examples.Room(os.path.join(top, "room"), os.path.join(top, "home"), self.play, self.turn,
                                 [(self.lab.directory, "/srv/lab")])
            shutil.copytree(os.path.join(ROOT, "environments"), os.path.join(room.directory, "environments"))
            room.write(example.files)
            return [(command, shown, room.do(command)) for command, shown in examples.commands_of(console)]
        finally:
            shutil.rmtree(top, ignore_errors=True)


class Examples(LabTest):

    def test_each_one_prints_what_its_page_shows(self):
        player, wrong, count = Player(self.lab), [], 0
        for example in examples.all_examples():
            for _, _, console in example.consoles:
                for command, shown, printed in player.printed(example, console):
                    count += 1
                    good, missing = examples.fits(shown, printed)
                    if not good:
                        wrong.append(f"{example}: $ {command}\n  not printed: {missing}\n  printed:\n"
                                     + "\n".join("    " + line for line in printed))
        print(f"{count} commands of the documentation, {len(wrong)} print something else", file=sys.stderr)
        if wrong:
            self.fail("\n\n" + "\n\n".join(wrong))
        self.assertGreater(count, 30)


def write(pages):
    lab = Lab()
    try:
        player = Player(lab.up())
        for page in pages:
            text = examples.read(page)
            for example in reversed(examples.examples_of(page, text)):
                for start, end, console in reversed(example.consoles):
                    new = []
                    for command, _, printed in player.printed(example, console):
                        new += ["$ " + command, *examples.shortened(printed)]
                    text = text[:start] + "\n".join(new) + "\n" + text[end:]
            with open(os.path.join(ROOT, page), "w", encoding="utf-8") as file:
                file.write(text)
            print(page)
    finally:
        lab.down()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2:])
    else:
        main()
