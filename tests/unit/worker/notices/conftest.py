"""Certificates of receivers."""

import pytest

from tests.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Of one authority, and some that must not be believed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
