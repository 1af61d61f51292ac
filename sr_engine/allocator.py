"""Tell the C library to keep freed memory: without it every large temporary costs fresh pages from the kernel.

Measured on TVSRN in fp32 on two cores: 1.2 to 2 times faster (37 million page faults became 0.4 million).
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
KEEP_BYTES = (1 << 31) - 1
PAD_BYTES = 256 << 20
# Temporaries of one tile stay below this and are reused; whole volumes lie above it and go back to the system.
MMAP_BYTES = 256 << 20


def keep_freed_memory() -> bool:
    """Set glibc's malloc to reuse blocks; return whether that worked. Harmless to call again, and on other systems."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, for example musl
        return False
    settings = ((M_MMAP_THRESHOLD, MMAP_BYTES), (M_TRIM_THRESHOLD, KEEP_BYTES), (M_TOP_PAD, PAD_BYTES))
    results = [mallopt(name, value) for name, value in settings]  # all three, even if one is refused
    return all(result == 1 for result in results)
