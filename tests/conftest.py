"""What the whole suite shares: profiles, markers and fixtures.

The suite runs over the core that FASTTOKEN_IMPL picks. Tests of the native core itself skip, with
one reason, where it was not built; FASTTOKEN_REQUIRE_NATIVE=1 makes that a failure. Tests marked
"once" look at both cores, or at none: with FASTTOKEN_IMPL=pure they are left to the native run.
HYPOTHESIS_PROFILE=ci looks harder, at the same examples every time.
"""

import os

import pytest
from helpers import APP_ID, CERTIFICATE, NATIVE_WAS_BUILT, SECONDARY
from hypothesis import settings

from fasttoken import Project

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=400, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than 20 seconds")
    config.addinivalue_line("markers", "once: the same whichever core the package uses")


def pytest_collection_modifyitems(config, items):
    """What does not depend on the core in use runs with the native one, where there is one."""
    if os.environ.get("FASTTOKEN_IMPL") != "pure" or not NATIVE_WAS_BUILT:
        return
    once = [item for item in items if item.get_closest_marker("once")]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in once]


def pytest_report_header(config):
    import fasttoken

    core = fasttoken.backend()
    return f"fasttoken: {core.implementation} core, CPU path {core.cpu} {core.reason}"


@pytest.fixture
def project():
    """Agora's public sample project."""
    return Project(APP_ID, CERTIFICATE)


@pytest.fixture
def two_keys():
    """The sample project with a secondary certificate."""
    return Project(APP_ID, CERTIFICATE, SECONDARY)


@pytest.fixture(scope="session")
def pure():
    """The pure core, whichever one the package uses."""
    from fasttoken import _pure

    return _pure


@pytest.fixture(scope="session")
def native():
    """The native core, whichever one the package uses."""
    if not NATIVE_WAS_BUILT:
        if os.environ.get("FASTTOKEN_REQUIRE_NATIVE") == "1":
            pytest.fail("FASTTOKEN_REQUIRE_NATIVE=1, but the native core was not built")
        pytest.skip("the native core was not built")
    from fasttoken import _native

    return _native
