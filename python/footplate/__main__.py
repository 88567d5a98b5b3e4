"""`python -m footplate`."""

import os
import sys

from footplate import binary

path = binary()
os.execv(path, ["footplate"] + sys.argv[1:])
