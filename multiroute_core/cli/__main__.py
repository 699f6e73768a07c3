"""`python -m multiroute_core.cli` is the same as `multiroute`."""

import sys

from multiroute_core.cli.main import main

sys.exit(main())
