"""A process is called gone only where that is certain."""

import os
import subprocess
import sys

from worker.owner import is_gone, this_owner


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(this_owner())


def test_a_dead_process_is_gone_even_when_its_number_was_given_to_another() -> None:
    code = "from worker.owner import this_owner; print(this_owner())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert is_gone(dead)
    host, boot, _, start = dead.rsplit("/", 3)
    assert is_gone(f"{host}/{boot}/{os.getpid()}/{start}")


def test_of_another_host_nothing_is_known() -> None:
    _, boot, _, start = this_owner().rsplit("/", 3)
    assert not is_gone(f"elsewhere/{boot}/1/{start}")


def test_what_ran_before_this_boot_is_gone() -> None:
    host, _, pid, start = this_owner().rsplit("/", 3)
    assert is_gone(f"{host}/another-boot/{pid}/{start}")
