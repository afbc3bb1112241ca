"""`python -m vitbench`."""

import sys

from vitbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
