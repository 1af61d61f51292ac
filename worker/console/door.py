"""What one address of the console is: its handler, the role it takes, and for programs what is asked and answered."""

from dataclasses import dataclass

from dicom_node.ledger.users import Role
from worker.console.office import Handler


@dataclass(frozen=True)
class Door:
    """One address.

    Attributes
    ----------
    role : Role or None
        The least role; None lets in everybody, logged in or not.
    is_data : bool
        Answered to programs: errors are JSON, nobody is led to the login page, and a token lets in.
    takes_file : bool
        Its form brings a file, which is not read before it is known who brings it, and of few people at a time.
    answers : type or None
        The dataclass that it answers with, as JSON.
    takes : type or None
        The dataclass of the JSON that a POST brings.
    query : type or None
        The dataclass of what may be asked for in the query.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None
    is_data: bool = False
    takes_file: bool = False
    answers: type | None = None
    takes: type | None = None
    query: type | None = None
