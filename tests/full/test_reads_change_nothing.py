"""The fingerprint again, with ten kinds of effects between two of them, and every one of the control's changes."""

import os
import sys
import unittest

os.environ["OPSRUN_FINGERPRINT_BATCH"] = "10"
os.environ["OPSRUN_FINGERPRINT_SAMPLE"] = "1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from test_reads_change_nothing import Control, Fingerprint, WithAReplica  # noqa: E402,F401

if __name__ == "__main__":
    unittest.main(verbosity=2)
