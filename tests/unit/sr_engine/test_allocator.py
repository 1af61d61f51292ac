"""The allocator's setting is a help, never a condition."""

import sys

import pytest

from sr_engine.allocator import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's mallopt exists on Linux alone")
def test_glibc_accepts_the_setting_again_and_again():
    assert keep_freed_memory()
    assert keep_freed_memory()
