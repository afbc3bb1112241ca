"""A bundle on the Hugging Face Hub: a repository of data that others read and download."""

from pathlib import Path

from vitbench.errors import RecordError
from vitbench.outside_files import reason, refused_as
from vitbench.reports.folders import RECORDS


def upload(bundle: Path, repository: str) -> str:
    """Upload a bundle; records that an earlier one left in the repository are deleted.

    Args:
        bundle: What `write_bundle` wrote.
        repository: OWNER/NAME of a data set; made, for its owner's eyes alone, if it is not there.

    Returns:
        The repository's address.

    Raises:
        RecordError: The Hub can't be reached, or refuses the name or the login.
    """
    from huggingface_hub import HfApi

    hub = HfApi(library_name="vitbench")
    with refused_as(
        lambda found: RecordError(
            f"the bundle could not be uploaded to {repository!r}.",
            expected="OWNER/NAME of a data set on the Hugging Face Hub that you may write to",
            found=reason(found),
            hint=f"hf auth login; the bundle itself is whole, and lies in {bundle}",
        )
    ):
        address = hub.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        hub.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=bundle,
            delete_patterns=f"{RECORDS}/*",
            commit_message="vitbench report --bundle",
        )
    return str(address)
