"""`python -m vitbench.torchrun …`: torchrun whose exit code is that of the command it starts.

torchrun exits with 1 whatever its processes exit with, so a scheduler never sees that a training
has been saved and wants to go on (75), and gives up on processes half a minute after a signal. This
starts torchrun with the same arguments, lets the processes save in peace, and exits as they did.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
EXIT_CODE_FILE = "VITBENCH_EXIT_CODE_FILE"  # where the first process that fails leaves its code
SETTINGS = {  # of torchrun; those of the caller have precedence
    "TORCHELASTIC_SIGNALS_TO_HANDLE": "SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
    "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "600",  # seconds for a step, a validation and a snapshot
}


def torchrun(arguments: Sequence[str]) -> int:
    """Run torchrun to its end and return the exit code of the command that it starts.

    Args:
        arguments: As for torchrun, such as `--nproc-per-node 8 -m vitbench train dino`.
    """
    with TemporaryDirectory(prefix="vitbench-torchrun-") as folder:
        path = Path(folder) / "exit-code"
        launcher = subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *arguments],
            env={**SETTINGS, **os.environ, EXIT_CODE_FILE: str(path)},
            start_new_session=True,  # a ctrl-C comes from here alone, not from the terminal too
        )

        def pass_on(number: int, _frame: FrameType | None) -> None:
            with suppress(ProcessLookupError):
                launcher.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
        try:
            code = launcher.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return int(path.read_text()) if code and path.exists() else code


def leave_exit_code(code: int) -> int:
    """Leave a process's exit code for `torchrun`, unless another has done so; return it."""
    path = os.environ.get(EXIT_CODE_FILE)
    if code and path:
        with suppress(FileExistsError), Path(path).open("x") as stream:
            stream.write(str(code))
    return code


def loses_exit_codes() -> bool:
    """Tell whether this process was started by a torchrun that exits with 1 for any code."""
    return "TORCHELASTIC_RUN_ID" in os.environ and EXIT_CODE_FILE not in os.environ


if __name__ == "__main__":
    sys.exit(torchrun(sys.argv[1:]))
