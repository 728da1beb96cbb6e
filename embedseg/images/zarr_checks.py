"""Zarr arrays whose chunks are checked for their length before they are decoded.

Some decoders take a chunk that ends too early for a whole one, and return what was in memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import zarr
    from zarr.abc.codec import BytesBytesCodec
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, BufferPrototype

#: Length of the header of Blosc, bytes; its last four are the length of the whole.
HEADER = 16


def open_checked(store: Any, path: str = "", mode: Literal["r", "r+"] = "r") -> zarr.Array[Any]:
    """Open a zarr array; to read a chunk that is shorter than it says is an error.

    A chunk that is missing has the fill value, as ever.

    Parameters
    ----------
    store
        Path, URL or store of zarr.
    path : str
        Path of the array in it.
    mode : {"r", "r+"}

    Examples
    --------
    >>> import tempfile
    >>> import zarr
    >>> folder = tempfile.mkdtemp()
    >>> array = zarr.create_array(folder, shape=(4, 5), dtype="u1", fill_value=7, overwrite=True)
    >>> open_checked(folder)[1, :3].tolist()
    [7, 7, 7]
    """
    import zarr
    from zarr.storage import StorePath

    array = zarr.open_array(store, path=path, mode=mode)
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        checked = replace(metadata, compressor=_check_compressor(metadata.compressor))
    else:
        checked = replace(metadata, codecs=_add_checks(metadata.codecs))
    place = StorePath(_check_lengths(array.store), array.path)
    return zarr.Array(zarr.AsyncArray(checked, place, array.config))


def check_blosc(chunk: Any) -> None:
    """Check that a chunk of Blosc is as long as its header says.

    Parameters
    ----------
    chunk : bytes-like
        The compressed chunk.

    Raises
    ------
    ValueError
        If it is not.

    Examples
    --------
    >>> check_blosc(bytes(12) + (20).to_bytes(4, "little") + bytes(4))
    >>> check_blosc(bytes(12) + (20).to_bytes(4, "little"))
    Traceback (most recent call last):
        ...
    ValueError: 16 bytes, expected the 20 of its header
    """
    chunk = memoryview(chunk).cast("B")
    if len(chunk) < HEADER:
        raise ValueError(f"{len(chunk)} bytes, expected a header of {HEADER}")
    stated = int.from_bytes(chunk[12:HEADER], "little")
    if len(chunk) != stated:
        raise ValueError(f"{len(chunk)} bytes, expected the {stated} of its header")


def _check_lengths(store: Store) -> Store:
    """Return a store in which no file is empty, or ends before a range that is asked for."""
    from zarr.abc.store import RangeByteRequest, Store
    from zarr.storage import WrapperStore

    class Checked(WrapperStore[Store]):
        async def get(
            self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
        ) -> Buffer | None:
            found = await self._store.get(key, prototype, byte_range)
            least = 1
            if isinstance(byte_range, RangeByteRequest):
                least = byte_range.end - byte_range.start
            if found is not None and len(found) < least:
                raise ValueError(f"{len(found)} bytes, expected {least} or more")
            return found

    return Checked(store)


def _check_compressor(compressor: Any) -> Any:
    """Return a compressor of zarr v2 that, if it is Blosc, checks chunks first."""
    import numcodecs

    if not isinstance(compressor, numcodecs.Blosc):
        return compressor

    class Checked(numcodecs.Blosc):  # type: ignore[misc]
        def decode(self, buf: Any, out: Any = None) -> Any:
            check_blosc(buf)
            return super().decode(buf, out)

    options = compressor.get_config()
    return Checked(**{name: value for name, value in options.items() if name != "id"})


def _add_checks(codecs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return codecs of zarr v3 with a check of what each Blosc gets, in shards too."""
    checked: list[Any] = []
    for codec in codecs:
        inner = getattr(codec, "codecs", None)
        checked.append(codec if inner is None else replace(codec, codecs=_add_checks(inner)))
        if codec.to_dict()["name"] in ("blosc", "numcodecs.blosc"):
            checked.append(_blosc_check())
    return tuple(checked)


def _blosc_check() -> BytesBytesCodec:
    """Return a codec that leaves chunks as they are, and checks those that are read."""
    from zarr.abc.codec import BytesBytesCodec

    class Check(BytesBytesCodec):
        is_fixed_size = True

        async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
            check_blosc(chunk_data.as_buffer_like())
            return chunk_data

        async def _encode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
            return chunk_data

        def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
            return input_byte_length

    return Check()
