"""The allocator's setting is a help, never a condition."""

import sys

import pytest

from sr_engine.allocator import keep_freed_memory, memory_bytes


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's mallopt exists on Linux alone")
def test_glibc_accepts_the_setting_again_and_again():
    assert keep_freed_memory()
    assert keep_freed_memory()


def test_the_machine_has_a_believable_amount_of_memory():
    assert 1 << 28 < memory_bytes() < 1 << 50
