"""The whole kill matrix: SIGKILL at every call of five playbooks that could matter, resumed and counted; then pairs,
with a second SIGKILL in the resume."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import main  # noqa: E402
from kill_matrix import MatrixTest  # noqa: E402
import matrix_judge as judge  # noqa: E402

KILLS, PAIRS = 1500, 500
STALLED = 5     # so many seconds a resume waits for a branch's turn (runtime/replay.lua); none should have to


class Whole(MatrixTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.watch()

    def test_every_kill_is_resumed_and_every_change_is_made_once(self):
        points = [point for points in self.points.values() for point in points]
        results = self.kill_at(points)
        self.expect_all_well(results)
        self.assertGreaterEqual(sum(result["killed"] for result in results), KILLS)
        slow = [result["point"] for result in results if result["seconds"] > STALLED]
        self.assertEqual(slow, [], "resumes that waited for records nobody asked for")
        missing = judge.coverage(results, self.effects)
        print(f"{sum(map(len, self.effects.values()))} effects; no kill struck: {json.dumps(missing)}")
        self.assertEqual(missing["begun, not recorded"], [], "effects that were never in doubt")
        self.assertEqual(missing["recorded"], [], "effects never killed behind")

    def test_killed_again_while_it_is_resumed(self):
        results = self.kill_at(*self.pairs(PAIRS * 7 // 5, seed=5))
        self.expect_all_well(results)
        self.assertGreaterEqual(sum(result["pair"] for result in results), PAIRS)


if __name__ == "__main__":
    main()
