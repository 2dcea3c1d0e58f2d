#!/usr/bin/python3
"""Runs the integration tests that pyhandle ships in its source distribution.

    pyhandle_suite.py <archive> <values.json> [module ...]

<archive> is the distribution, <values.json> what the tests are told: the server, a user and
the handles they may use. Prints one JSON object: for each test "ok", or why it is not. Its
words, and those of the tests, go to standard error.
"""

import json
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

MODULES = ["handleclient_read_integration_test", "handleclient_write_integration_test"]
VALUES = "testvalues_for_integration_tests_IGNORE.json"


class Outcomes(unittest.TestResult):
    """Remembers how each test ended."""

    def __init__(self):
        super().__init__()
        self.by_name = {}

    def _end(self, test, outcome):
        self.by_name[test.id().rsplit(".", 1)[-1]] = outcome

    def addSuccess(self, test):
        self._end(test, "ok")

    def addFailure(self, test, err):
        self._end(test, f"failed: {err[1]}"[:400])

    def addError(self, test, err):
        name = getattr(test, "id", lambda: str(test))()
        print(name, self._exc_info_to_string(err, test), file=sys.stderr)
        self._end(test, f"{err[0].__name__}: {err[1]}"[:400])

    def addSkip(self, test, reason):
        self._end(test, f"skipped: {reason}")


def main():
    archive, values, modules = sys.argv[1], sys.argv[2], sys.argv[3:] or MODULES
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(archive) as source:
            # Known to Python from 3.11.4 on: no file outside the directory.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            source.extractall(directory, **safe)
        (root,) = Path(directory).iterdir()
        resources = root / "pyhandle" / "tests" / "resources"
        (resources / VALUES).write_text(Path(values).read_text())
        sys.path.insert(0, str(root))
        outcomes = Outcomes()
        for module in modules:
            name = f"pyhandle.tests.testcases.{module}"
            unittest.defaultTestLoader.loadTestsFromName(name).run(outcomes)
    print(json.dumps(outcomes.by_name, indent=1, sort_keys=True))


main()
