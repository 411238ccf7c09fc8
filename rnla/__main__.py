"""The command line, as ``python -m rnla``."""

import sys

from rnla.cli import main

if __name__ == "__main__":
    sys.exit(main())
