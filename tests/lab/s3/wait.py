"""Waits at a listening socket until somebody connects, then becomes the server (same pid).

usage: wait.py DESCRIPTOR COMMAND…  The command finds the socket as its descriptor 3.
"""

import os
import select
import sys

listening = int(sys.argv[1])
select.select([listening], [], [])
if listening == 3:
    os.set_inheritable(3, True)
else:
    os.dup2(listening, 3)
os.execvp(sys.argv[2], sys.argv[2:])
