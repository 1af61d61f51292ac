"""One target under atheris, in this process: ``python -m tests.fuzz.run TARGET FOLDER... -libFuzzer=options``."""

import logging
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["dicom_node", "worker", "pydicom", "pynetdicom"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run until the time is over or something breaks."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
