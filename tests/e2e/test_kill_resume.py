"""kill -9 at 150 places of five playbooks, then resume: every change is made once. The whole matrix is in
tests/full/test_kill_matrix.py."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from kill_matrix import BOOKS, MatrixTest  # noqa: E402

KILLS = 150


def spread(points, number):
    """So many of a list, evenly."""
    return [points[i * len(points) // number] for i in range(number)]


class KilledAndResumed(MatrixTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.watch()

    def test_150_kills_and_every_change_is_made_once(self):
        points = [point for book in BOOKS for point in spread(self.points[book], KILLS // len(BOOKS))]
        results = self.kill_at(points)
        self.expect_all_well(results)


if __name__ == "__main__":
    main()
