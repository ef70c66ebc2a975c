"""Runs the unittest files of a folder; the last line of its output is a report in JSON.

A script, for `test_agora.py`: AgoraIO's tests expect a package of their own name beside them, and
a process of their own.
"""

import importlib.util
import json
import sys
import unittest
from pathlib import Path


def load(path: Path) -> unittest.TestSuite:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def main(folder: Path) -> None:
    files = sorted(folder.glob("*.py"))
    suite = unittest.TestSuite(load(path) for path in files)
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    bad = result.failures + result.errors + result.unexpectedSuccesses
    report = {"files": len(files), "run": result.testsRun, "skipped": len(result.skipped)}
    print(json.dumps(report | {"bad": [str(test) for test, *_ in bad]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
