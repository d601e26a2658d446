"""What the C library does with memory that was freed."""

import ctypes
import sys

M_MMAP_THRESHOLD = -3  # glibc's malloc.h
LARGE = 2**22  # bytes


def return_large_blocks() -> None:
    """From now on, blocks of LARGE bytes or more go back to the system when they are freed. Only glibc can do this.

    By itself glibc raises this limit to 32 MB as such blocks are freed. Smaller ones then lie among each other, and up
    to a gigabyte between them can't be used for anything else. A new block from the system costs some time, so this is
    for work that takes much longer than its memory.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(M_MMAP_THRESHOLD, LARGE)
