"""The smallest job: bin/athanor run examples/hello.py"""

import os
import sys

print(f"hello from rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}, Python {sys.version.split()[0]}")
