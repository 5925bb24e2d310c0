"""`python -m worker jobs` runs worker processes, `python -m worker timers` the timer."""

from __future__ import annotations

import sys

from worker.lifecycle import main

sys.exit(main(sys.argv[1:]))
