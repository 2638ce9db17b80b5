"""kill -9 at every call of a playbook that could matter, then `opsrun undo`; and 200 times undo is killed as well."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import main  # noqa: E402
import matrix_undo  # noqa: E402


class Whole(matrix_undo.UndoTest):

    def test_every_way_back_is_taken_once_the_last_one_first(self):
        self.undo_at(self.points["ways"])

    def test_and_once_when_undo_is_killed_too(self):
        self.undo_at(*self.pairs(200, seed=11))


if __name__ == "__main__":
    main()
