"""Where a score was computed: versions, commit, device, memory."""

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import vitbench
from vitbench import distributed
from vitbench.records import Environment

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "faiss-gpu",
    "faiss-cpu",
    "pycocotools",
)


def environment(device: "torch.device | None", precision: str) -> Environment:
    """Describe this machine and installation.

    Args:
        device: Where torch computes; None where it does not.
        precision: Of the forward passes.
    """
    commit, dirty = git_state()
    return Environment(
        vitbench=vitbench.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        device=_named(device),
        precision=precision,
        processes=distributed.world_size(),
        git_commit=commit,
        git_dirty=dirty,
    )


def git_state() -> tuple[str, bool | None]:
    """Return the commit of the checkout that runs and whether it is changed; ("", None) outside."""
    root = Path(vitbench.__file__).parent.parent
    if not (root / ".git").exists():
        return "", None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", None


def peak_memory(device: "torch.device | None") -> int:
    """Return the most memory that was in use: of the device, or of this process (bytes)."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _named(device: "torch.device | None") -> str:
    if device is None:
        return _processor()
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"cpu: {name}"
