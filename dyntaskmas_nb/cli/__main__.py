"""``python -m dyntaskmas_nb.cli`` is the same as ``dyntaskmas``."""

import sys

from dyntaskmas_nb.cli.main import main

sys.exit(main())
