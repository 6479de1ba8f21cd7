"""Random numbers that can be repeated: `TRIAL_SEED=1234 python -m pytest tests/workers/test_kills.py`."""

import os
import random


def dice() -> random.Random:
    """A generator with a new seed, or with TRIAL_SEED. It prints the seed, which pytest shows when the test fails."""
    seed = int(os.environ.get("TRIAL_SEED") or random.randrange(2**32))
    print(f"drawn with TRIAL_SEED={seed}")
    return random.Random(seed)
