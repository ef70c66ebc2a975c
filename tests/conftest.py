"""What the whole suite shares: profiles, markers and fixtures.

The suite runs over the core that FASTTOKEN_IMPL picks. Tests of the native core itself skip, with
one reason, where it was not built; FASTTOKEN_REQUIRE_NATIVE=1 makes that a failure.
HYPOTHESIS_PROFILE=ci looks harder, at the same examples every time.
"""

import os

import pytest
from helpers import APP_ID, CERTIFICATE, SECONDARY
from hypothesis import settings

from fasttoken import Project

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=400, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than 20 seconds")


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
    try:
        from fasttoken import _native
    except ModuleNotFoundError as error:
        if error.name != "fasttoken._native.core":
            raise
        if os.environ.get("FASTTOKEN_REQUIRE_NATIVE") == "1":
            pytest.fail("FASTTOKEN_REQUIRE_NATIVE=1, but the native core was not built")
        pytest.skip("the native core was not built")
    return _native
