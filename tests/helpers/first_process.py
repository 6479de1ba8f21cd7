"""The app as the first process of a namespace of its own, as in a container: it inherits orphans, and has to reap them.

`python -m tests.helpers.first_process OPTIONS`. It needs root, and not every system allows it.
"""

import os
import sys

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]

if __name__ == "__main__":
    os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", "tests.helpers.quick_app", *sys.argv[1:]])
