"""`python3 manage.py test` runs the same suite as `pytest`."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

import pytest


class PytestRunner:
    """Django's TEST_RUNNER, as thin as it can be: what it is given goes to pytest."""

    def __init__(self, *, verbosity: int = 1, failfast: bool = False, keepdb: bool = False, **_options: Any) -> None:
        self.options = {"-q": verbosity < 1, "-v": verbosity > 1, "--exitfirst": failfast, "--reuse-db": keepdb}

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """The one of Django's options that pytest knows too."""
        parser.add_argument("--keepdb", action="store_true", help="Keep the test database between runs.")

    def run_tests(self, test_labels: Sequence[str], **_options: Any) -> int:
        """0 when every test passed."""
        return int(pytest.main([*(name for name, wanted in self.options.items() if wanted), *test_labels]))
