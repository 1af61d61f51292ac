"""Names by which the ledger knows people."""

import re

from dicom_node.errors import InputError
from dicom_node.ledger.users import LONGEST_NAME

NAME = re.compile(rf"[a-z0-9][a-z0-9._@-]{{0,{LONGEST_NAME - 1}}}")


def user_name(name: str) -> str:
    """The name as the ledger keeps it. InputError where it is none."""
    plain = name.strip().lower()
    if not NAME.fullmatch(plain):
        raise InputError(
            f"a user name has 1 to {LONGEST_NAME} letters, digits, dots, dashes or @, and begins with a letter or digit"
        )
    return plain


def plain_name(text: str) -> str:
    """What of a name from elsewhere the ledger can keep; empty where nothing can."""
    return re.sub(r"[^a-z0-9._@-]+", ".", text.strip().lower()).strip("._@-")[:LONGEST_NAME]
