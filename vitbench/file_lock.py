"""Locks on files, which the system lets go of however a process ends."""

import errno
import fcntl
from typing import IO

WITHOUT = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # some network disks


def lock(handle: IO[str], *, wait: bool) -> bool:
    """Hold a file until it is closed; tell whether it is held.

    On a file system that has no locks nothing is held, and the caller goes on as if it were.

    Args:
        handle: The open file.
        wait: Wait for another process that holds it; without, return False.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
    return True
