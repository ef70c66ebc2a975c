"""The core in pure Python: the readable specification of the native one."""

from .accept import Pattern, PatternField, Question, accept
from .batch import (
    Check,
    Envelope,
    Layout,
    Slot,
    SlotKind,
    mint,
    mint_bound,
    mint_checked,
    mint_one,
    suspects,
    text_column,
    token_list,
)
from .deflate import deflate, inflate
from .encode import decode, encode
from .pack import crc32, pack_i16, pack_map32, pack_str, pack_u16, pack_u32
from .salt import forget_salts, random_salt
from .sign import Certificate, hmac_sha256, sha256

__all__ = [
    "Certificate",
    "Check",
    "Envelope",
    "Layout",
    "Pattern",
    "PatternField",
    "Question",
    "Slot",
    "SlotKind",
    "accept",
    "cpu_paths",
    "crc32",
    "decode",
    "deflate",
    "encode",
    "forget_salts",
    "hmac_sha256",
    "inflate",
    "mint",
    "mint_bound",
    "mint_checked",
    "mint_one",
    "pack_i16",
    "pack_map32",
    "pack_str",
    "pack_u16",
    "pack_u32",
    "random_salt",
    "sha256",
    "suspects",
    "text_column",
    "token_list",
]


def cpu_paths() -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The CPU path in use, those that can be used, and those that failed their self-test."""
    return "python", ("python",), ()
