"""docs/reliability.md is what the tests show."""

from tests.faults.catalogue import FAULTS, PAGE, missing, page, shown


def test_the_page_is_written_from_the_tests_as_they_are():
    message = "run: python -m tests.faults.catalogue"
    assert PAGE.read_text(encoding="utf-8") == page(), message


def test_every_mark_names_a_row_of_the_catalogue():
    assert {item.row for item in shown()} <= set(FAULTS)


def test_every_test_that_it_names_exists():
    assert missing() == []
