"""The rules: which there are, how often each decides, and what one would say of an image or a series."""

from starlette.responses import Response

from dicom_node.errors import InputError, UnreadableInstance
from dicom_node.ledger import overview, rule_trials
from dicom_node.plans import Plan
from dicom_node.series.headers import read_bytes
from worker import trial
from worker.console.asked import Asked
from worker.console.office import Console, page
from worker.trial import Tried

DAYS = 30
LONGEST_TITLE = 16


def rules(console: Console, asked: Asked) -> Response:
    """The rules in the order in which they are asked."""
    return _page(console, asked)


def attempt(console: Console, asked: Asked) -> Response:
    """Say what would become of an image that was uploaded, or of a series of the ledger. Nothing of it is kept."""
    number, title = asked.form.get("series", "").strip(), asked.form.get("ae_title", "").strip()[:LONGEST_TITLE]
    try:
        if asked.upload is not None:
            subject, what = "file", "this image, and others like it side by side"
            found = [trial.try_one(read_bytes(asked.upload), console.node.settings, title)]
        elif number:
            subject, what = f"series:{number}", f"series {number}"
            found = _series(console, number)
        else:
            return _page(console, asked, trouble="Choose a file, or give the number of a series.", title=title)
    except (UnreadableInstance, InputError) as error:
        return _page(console, asked, trouble=str(error), title=title, series=number)
    outcomes, names = [item.outcome[0] for item in found], [item.decision.name for item in found if item.decision]
    rule_trials.tried(console.acting(asked).database, subject, outcomes, names)
    return _page(console, asked, tried=tuple(found), what=what, title=title, series=number)


def _series(console: Console, number: str) -> list[Tried]:
    if not (number.isdecimal() and len(number) < 10):
        raise InputError("a series has a number; the page of series shows it")
    headers, _refused, calling_ae = trial.read_series(console.node, int(number))
    return list(trial.try_series(headers, console.node.settings, calling_ae))


def _page(
    console: Console,
    asked: Asked,
    tried: tuple[Tried, ...] = (),
    what: str = "",
    trouble: str = "",
    title: str = "",
    series: str = "",
) -> Response:
    settings, database = console.node.settings, console.node.database
    names = [rule.name for rule in settings.rules]
    return page(
        console, asked, "rules.html", 400 if trouble else 200,
        rules=settings.rules, counts=rule_trials.jobs_by_rule(database, names, DAYS), days=DAYS,
        conditions=trial.conditions, action=lambda rule: trial.action(rule, settings),
        everywhere=trial.describe(trial.whole(Plan(), settings)),
        tried=tried, what=what, trouble=trouble, title=title, series=series,
        scanners=[item.ae_title for item in overview.scanners(database)],
    )  # fmt: skip
