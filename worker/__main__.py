"""`python -m worker jobs` runs worker processes, `python -m worker timers` the timer."""

from __future__ import annotations

import os
import sys

from worker.lifecycle import main

status = main(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: that would wait for the threads of calls that were given up, up to minutes.
os._exit(status)
