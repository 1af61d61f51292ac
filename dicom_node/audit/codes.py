"""Codes of audit messages: PS3.16 CID 400 to 405, and those of RFC 3881 that PS3.15 A.5 takes over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A coded value."""

    value: str
    meaning: str
    scheme: str = "DCM"


# CID 400, what happened
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
AUDIT_LOG_USED = Code("110101", "Audit Log Used")
BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
EXPORT = Code("110106", "Export")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")

# CID 401 and 403, which kind of it
APPLICATION_START = Code("110120", "Application Start")
APPLICATION_STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
LOGOUT = Code("110123", "Logout")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
ROLES_CHANGED = Code("110136", "Security Roles Changed")
USER_CHANGED = Code("110137", "User Security Attributes Changed")
AUTHENTICATION_DECISION = Code("110143", "Authentication Decision")

# CID 402, who takes part as what
APPLICATION = Code("110150", "Application")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "Destination Media")

# CID 404 and RFC 3881, what an object is named by
STUDY_UID = Code("110180", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
NODE_ID = Code("110182", "Node ID")
URI = Code("12", "URI", "RFC-3881")
USER_IDENTIFIER = Code("11", "User Identifier", "RFC-3881")

# CID 405
MEDIA_URI = Code("110037", "URI")
