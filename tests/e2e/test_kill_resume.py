"""kill -9 at 150 places of five playbooks, and 30 times once more, then resume: every change is made once. The whole matrix is in
tests/full/test_kill_matrix.py."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import main  # noqa: E402
from kill_matrix import BOOKS, MatrixTest, spread  # noqa: E402

KILLS, PAIRS = 150, 30


class KilledAndResumed(MatrixTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.watch()

    def test_150_kills_and_every_change_is_made_once(self):
        points = [point for book in BOOKS for point in spread(self.points[book], KILLS // len(BOOKS) + 2)]
        results = self.kill_at(points)
        self.expect_all_well(results)
        self.assertGreaterEqual(sum(result["killed"] for result in results), KILLS)

    def test_30_are_killed_again_while_they_are_resumed(self):
        results = self.kill_at(*self.pairs(PAIRS * 2, seed=3))
        self.expect_all_well(results)
        self.assertGreaterEqual(sum(result["pair"] for result in results), PAIRS)


if __name__ == "__main__":
    main()
