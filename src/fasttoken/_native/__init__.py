"""The core in C, through Cython: the names of ``fasttoken._pure``, with the same behaviour."""

from .._pure import __all__
from .core import (
    Certificate,
    Envelope,
    Layout,
    Slot,
    SlotKind,
    cpu_paths,
    crc32,
    decode,
    deflate,
    encode,
    hmac_sha256,
    inflate,
    mint,
    pack_i16,
    pack_map32,
    pack_str,
    pack_u16,
    pack_u32,
    suspects,
    text_column,
    token_list,
)

__all__ = __all__
