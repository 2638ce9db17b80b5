"""kill -9 at 40 places, then `opsrun undo`; 20 times undo is killed as well."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from kill_matrix import spread  # noqa: E402
import matrix_undo  # noqa: E402


class KilledAndUndone(matrix_undo.UndoTest):

    def test_every_way_back_is_taken_once_the_last_one_first(self):
        self.undo_at(spread(self.points["ways"], 40))

    def test_and_once_when_undo_is_killed_too(self):
        self.undo_at(*self.pairs(20, seed=7))


if __name__ == "__main__":
    main()
