"""Download a file: continues a part, shows progress, verifies size and sha256."""

import hashlib
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from vitbench.errors import ChecksumMismatch, DownloadError

CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 4
Progress = Callable[[int, int], None]  # bytes so far, bytes in all (0: not known)


def quiet(done: int, total: int) -> None:
    """Show no progress."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    size_bytes: int = 0,
    progress: Progress = quiet,
    wait: float = 1.0,
) -> str:
    """Fetch a file unless it is there already, and verify it.

    A connection that breaks off is taken up again where it stopped, here or in a later call. The
    file appears under its name only when it is whole and verified. Where no checksum is known, the
    first download's is kept beside the file and later ones are held to it.

    Args:
        url: What to fetch, http or https.
        path: Where it shall lie.
        sha256: Of the file, hexadecimal; empty if nobody published it.
        size_bytes: Of the file; 0 if not known.
        progress: Told about every chunk.
        wait: Seconds before the second attempt; each further one waits twice as long.

    Returns:
        The file's sha256.

    Raises:
        DownloadError: If the server can't be reached or does not keep to its word.
        ChecksumMismatch: If the bytes are not the ones asked for.
    """
    kept = path.with_name(path.name + ".sha256")
    expected = sha256 or (kept.read_text().strip() if kept.exists() else "")
    if path.exists():
        return _verified(path, expected, url, kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            _fetch(url, part, size_bytes, progress)
            break
        except (URLError, HTTPException, OSError) as error:
            permanent = isinstance(error, HTTPError) and 400 <= error.code < 500
            if permanent or attempt == ATTEMPTS - 1:
                raise DownloadError(
                    f"{url}: can't be downloaded.",
                    found=f"{type(error).__name__}: {error}",
                    hint=f"fetch it by other means and put it at {path}",
                ) from error
            time.sleep(wait * 2**attempt)
    digest = _verified(part, expected, url, kept)
    part.replace(path)
    return digest


def _fetch(url: str, part: Path, size_bytes: int, progress: Progress) -> None:
    """Append what is missing of a file; raises `OSError` if the server stops too early."""
    done = part.stat().st_size if part.exists() else 0
    if size_bytes and done >= size_bytes:
        return
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response: HTTPResponse = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range") == f"bytes */{done}":  # nothing is missing
            return
        part.unlink()
        raise OSError(f"the server has fewer than the {done} bytes that it gave") from error
    with response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise OSError("the server went on at another place than asked")
        done = done if resumed else 0
        total = done + int(response.headers.get("Content-Length") or 0)
        if size_bytes and total > done and total != size_bytes:
            part.unlink(missing_ok=True)
            raise DownloadError(
                f"{url}: the server offers another file.",
                expected=f"{size_bytes} bytes",
                found=f"{total} bytes",
            )
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    if (total and done < total) or (size_bytes and done < size_bytes):
        raise OSError(f"the connection ended after {done} of {max(total, size_bytes)} bytes")


def _verified(file: Path, expected: str, url: str, kept: Path) -> str:
    """Hash a file, compare, and keep the hash for the next time."""
    found = file_sha256(file)
    if expected and found != expected:
        file.unlink()
        raise ChecksumMismatch(
            f"{url}: these are not the bytes that were asked for; the file was deleted.",
            expected=f"sha256 {expected}",
            found=f"sha256 {found}",
            hint="try again; if it comes back, the source changed its file",
        )
    if not kept.exists():
        temporary = kept.with_name(kept.name + ".tmp")
        temporary.write_text(found + "\n")
        temporary.replace(kept)
    return found


def file_sha256(path: Path) -> str:
    """Hash a file's bytes (hexadecimal)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
