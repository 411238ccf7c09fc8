"""Files that are written whole or not at all, in one chosen folder, over nothing that was not meant.

S1. Before the work: the folder is no symbolic link, does not lie in the input, and holds none of the files to be
    written, but with ``force``; an input or a symbolic link is never replaced, whatever was said.
S2. Each file is written under a temporary name in the folder and flushed to the disk.
S3. When all are written they take their names, one rename each, in the order given; then the folder is flushed.

Names are resolved against the open folder, so that a folder that is exchanged meanwhile changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from rnla.cli.readers.opened import human_size, shown
from rnla.errors import BudgetError, InputError

__all__ = ["Digest", "OutputFolder", "array_writer", "bytes_writer", "json_writer"]

_AT = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd and os.unlink in os.supports_dir_fd


class Digest(io.RawIOBase):
    """A binary stream that counts and hashes what passes to the stream under it.

    Parameters
    ----------
    stream : binary file
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.count = 0

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes through."""
        self._stream.write(data)
        self._hash.update(data)
        self.count += len(data)
        return len(data)

    def record(self) -> dict[str, Any]:
        """Return the number of bytes and their SHA-256."""
        return {"bytes": self.count, "sha256": self._hash.hexdigest()}


Writer = Callable[[Digest], object]


def array_writer(array: np.ndarray[Any, Any]) -> Writer:
    """Return a writer of an array in the npy format; nothing is pickled."""
    return lambda stream: np.lib.format.write_array(stream, array, allow_pickle=False)


def bytes_writer(content: bytes) -> Writer:
    """Return a writer of bytes."""
    return lambda stream: stream.write(content)


def json_writer(content: Mapping[str, Any]) -> Writer:
    """Return a writer of JSON that every reader understands: ASCII, and null for what is no number."""
    return bytes_writer(json.dumps(content, indent=2, allow_nan=False).encode("ascii") + b"\n")


class OutputFolder:
    """A folder that the named files may be written to; checked, and made, when this is made (S1).

    Parameters
    ----------
    folder : str
        Where to write; made with its parents if it is not there, and removed again if nothing came to be written.
    names : sequence of str
        The files that will be written.
    inputs : sequence of path
        What is read meanwhile and must not be touched.
    force : bool
        Whether existing files of these names may be replaced.
    ours : callable, optional
        Told the beginning of an existing file, whether it may be replaced without `force`.

    Raises
    ------
    InputError
        For everything that is refused.
    """

    def __init__(
        self,
        folder: str,
        names: Sequence[str],
        *,
        inputs: Sequence[Path] = (),
        force: bool = False,
        ours: Callable[[bytes], bool] | None = None,
    ) -> None:
        if not folder:
            raise InputError("--out is empty; name a folder")
        self.path = Path(folder)
        self._inputs, self._force, self._ours = inputs, force, ours
        self._made: list[Path] = []
        self._descriptor: int | None = None
        try:
            self._open()
            for name in names:
                self._check(name)
        except ValueError as error:  # a zero byte in the path
            self.close()
            raise (
                error if isinstance(error, InputError) else InputError(f"{shown(folder)} is not a possible path")
            ) from None
        except OSError as error:
            self.close()
            raise InputError(f"{shown(folder)} cannot be written to: {error.strerror or error}") from None

    def _open(self) -> None:
        """Make the folder if need be, and hold it open so that it cannot be exchanged."""
        label = shown(self.path)
        if self.path.is_symlink():
            raise InputError(
                f"--out {label} is a symbolic link, which is not followed; name the folder that it points to"
            )
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"--out {label} is not a folder")
        place = self.path.resolve()
        for source in self._inputs:
            if source.is_dir() and place.is_relative_to(source.resolve()):
                raise InputError(f"--out {label} lies inside the input {shown(source)}, which is only read")
        missing = [parent for parent in (self.path, *self.path.parents) if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir()
            self._made.append(parent)
        if _AT:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise InputError(f"--out {label} cannot be written to: permission denied")

    def _check(self, name: str) -> None:
        """Refuse to replace what must stay (S1)."""
        path, options = self._at(name)
        label = shown(self.path / name)
        try:
            there = os.stat(path, follow_symlinks=False, **options)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(there.st_mode):
            raise InputError(f"{label} is a symbolic link, through which nothing is written; remove it first")
        if not stat.S_ISREG(there.st_mode):
            raise InputError(f"{label} exists and is not a regular file; remove it first")
        if any(source.exists() and os.path.samestat(there, source.stat()) for source in self._inputs):
            raise InputError(f"{label} is the input itself, which is never written over; choose another folder")
        if self._force:
            return
        if self._ours is not None:
            with open(os.open(path, os.O_RDONLY, **options), "rb") as stream:
                if self._ours(stream.read(4096)):
                    return
        raise InputError(f"{label} exists; --force replaces it")

    def require_room(self, nbytes: int) -> None:
        """Raise `BudgetError` if the disk has less room than this, so that no work is done in vain."""
        with contextlib.suppress(OSError, AttributeError):
            there = os.statvfs(self.path)
            free = there.f_bavail * there.f_frsize
            if nbytes > free:
                raise BudgetError(
                    f"the factors take {human_size(nbytes)} and {shown(self.path)} has {human_size(free)} free; "
                    "choose another folder, or a smaller rank"
                )

    def write(self, files: Mapping[str, Writer | Callable[[dict[str, Any]], Writer]], *, last: str = "") -> list[Path]:
        """Write files, all or none (S2, S3).

        Parameters
        ----------
        files : mapping from name to writer
            In the order in which they take their names.
        last : str
            The file, if any, whose entry is a function from the records of the others (bytes and SHA-256 by name) to
            its writer.

        Returns
        -------
        list of Path
            The files written.
        """
        records: dict[str, Any] = {}
        waiting: dict[str, str] = {}
        try:
            for name, entry in files.items():
                writer: Any = entry(records) if name == last else entry  # type: ignore[arg-type]
                waiting[name] = temporary = f".{name}.{secrets.token_hex(8)}.part"
                path, options = self._at(temporary)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
                with open(os.open(path, flags, 0o666, **options), "wb") as stream:
                    digest = Digest(stream)
                    writer(digest)
                    stream.flush()
                    os.fsync(stream.fileno())
                records[name] = digest.record()
            for name in files:
                self._check(name)
            for name in files:
                self._rename(waiting[name], name)
                del waiting[name]
        finally:
            for temporary in waiting.values():
                path, options = self._at(temporary)
                with contextlib.suppress(OSError):
                    os.unlink(path, **options)
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # some file systems have no flush of a folder
                os.fsync(self._descriptor)
        return [self.path / name for name in files]

    def _at(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return what names a file of the folder to the functions of `os`."""
        if self._descriptor is None:
            return str(self.path / name), {}
        return name, {"dir_fd": self._descriptor}

    def _rename(self, old: str, new: str) -> None:
        if self._descriptor is None:
            os.replace(self.path / old, self.path / new)
        else:
            os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def close(self) -> None:
        """Let the folder go; remove what was made and stayed empty."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        while self._made:
            with contextlib.suppress(OSError):  # not empty: it holds what was written
                self._made.pop().rmdir()

    def __enter__(self) -> Self:
        """Return the folder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
