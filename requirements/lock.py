"""Write the lock files: `make lock`. Run with pip-tools installed, on Linux with Python 3.11.

torch gets a file of its own, torch.txt. Version 2.13.0 exists as a CPU build (`2.13.0+cpu`) and, on the registry, as
a CUDA build; both hashes are allowed. In one file with the rest, pip would always prefer the registry's build, because
only there it knows the hash before the download.
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
    "pip-compile",
    "--quiet",
    "--generate-hashes",
    "--no-emit-find-links",
    "--no-emit-index-url",
    "--strip-extras",
    "--allow-unsafe",
    "--no-header",
]
TORCH_BLOCK = re.compile(r"^torch==2\.13\.0(?:\+cpu)? \\\n((?:    --hash=\S+(?: \\)?\n)+)(?:    #.*\n)*", re.MULTILINE)


def compile_lock(name: str) -> Path:
    """Resolve `<name>.in` to `<name>.txt` and return its path."""
    output = HERE / f"{name}.txt"
    subprocess.run([*PIP_COMPILE, "-o", output.name, f"{name}.in"], cwd=HERE, check=True)
    return output


def split_off_torch(lock: Path) -> None:
    """Move torch from a lock file to torch.txt, with the hashes of both builds."""
    text = lock.read_text()
    found = TORCH_BLOCK.search(text)
    if found is None:
        raise SystemExit(f"{lock} pins no torch 2.13.0")
    offered = re.findall(r"sha256:(\w+)", found.group(1))
    hashes = " \\\n".join(f"    --hash=sha256:{digest}" for digest in dict.fromkeys([*offered, *REGISTRY_TORCH]))
    (HERE / "torch.txt").write_text(f"torch==2.13.0 \\\n{hashes}\n")
    lock.write_text(text.replace(found.group(0), ""))


if __name__ == "__main__":
    for name in ("runtime", "training", "dev"):
        split_off_torch(compile_lock(name))
    compile_lock("fuzz")
