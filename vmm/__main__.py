"""`python -m vmm` is the `vmm` command."""

from __future__ import annotations

import sys

from vmm.cli import main

sys.exit(main())
