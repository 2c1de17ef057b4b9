"""`python -m vloc_ros.cli` is `vloc`."""

import sys

from vloc_ros.cli import main

sys.exit(main())
