"""Fifty times twenty processes resume one run at the same moment."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import main  # noqa: E402
import test_resume_race  # noqa: E402   the module: its own rounds are not run again


class Fifty(test_resume_race.Race):
    ROUNDS = 50


if __name__ == "__main__":
    main()
