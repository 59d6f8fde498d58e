"""Files that are there whole or not at all, whatever stops their writing. Floor 1 of the package."""

import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, in the place of one that may be there, which stays if this does not come to its end."""
    with tempfile.TemporaryDirectory(dir=path.parent, suffix=".part") as part:
        file = Path(part) / path.name
        file.write_bytes(content)
        file.replace(path)
