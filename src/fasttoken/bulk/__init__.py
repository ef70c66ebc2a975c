"""Bulk: tokens for every row of files, in files, and not one row lost.

`mint_batch` is the heart: one Arrow batch in, the same batch with its tokens out.
"""

try:
    import pyarrow as _  # noqa: F401
except ModuleNotFoundError:
    raise ImportError("fasttoken.bulk needs more packages: pip install 'fasttoken[bulk]'") from None

from .mint import check_schema, mint_batch, mint_or_reject, minted_schema, seeded_salts
from .options import Options
from .summary import File, Reason, Summary

__all__ = [
    "File",
    "Options",
    "Reason",
    "Summary",
    "check_schema",
    "mint_batch",
    "mint_or_reject",
    "minted_schema",
    "seeded_salts",
]
