"""The transfer syntaxes that are accepted from scanners and read, and no others (PS3.5 8, Annex A).

Lossy syntaxes are left out because their pixels are not what was measured; deflated, because 0.6 MB of it may
inflate to 1 GB.
"""

from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

# The acceptor's order decides which of a sender's offers is taken: the cheapest to read first.
TRANSFER_SYNTAXES: tuple[UID, ...] = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
)
