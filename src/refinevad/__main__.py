"""`python -m refinevad` is `refinevad`."""

import sys

from refinevad.apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
