"""Write the lock files: `make lock`. Run with pip-tools installed, on Linux with Python 3.11.

torch 2.13.0 exists as a CPU build and, on the registry, as a CUDA build of the same version. Both hashes are
allowed, and the local version label (`+cpu`) is dropped, so that a machine may install whichever it is offered.
"""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
REGISTRY_TORCH = [
    "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",  # manylinux_2_28_x86_64, cp311
    "092790c696a760c729fd5722835f50b9d81fd7c8f141571f3f3cf4081a8f664c",  # manylinux_2_28_aarch64, cp311
]
PIP_COMPILE = [
    "pip-compile", "--quiet", "--generate-hashes", "--no-emit-find-links", "--no-emit-index-url",
    "--strip-extras", "--allow-unsafe", "--no-header",
]


def compile_lock(name: str) -> Path:
    """Resolve `<name>.in` to `<name>.txt` and return its path."""
    output = HERE / f"{name}.txt"
    subprocess.run([*PIP_COMPILE, "-o", output.name, f"{name}.in"], cwd=HERE, check=True)
    return output


def allow_both_torch_builds(lock: Path) -> None:
    """Drop torch's local version label and add the registry build's hashes."""
    extra = "".join(f"    --hash=sha256:{digest} \\\n" for digest in REGISTRY_TORCH)
    text = re.sub(r"^torch==2\.13\.0(\+cpu)? \\\n", "torch==2.13.0 \\\\\n" + extra, lock.read_text(), flags=re.M)
    lock.write_text(text)


if __name__ == "__main__":
    for name in ("runtime", "dev"):
        allow_both_torch_builds(compile_lock(name))
