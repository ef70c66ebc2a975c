"""Bulk: tokens for every row of files, in files, and not one row lost.

`run` does a `Job`; `mint_batch` is its heart: one Arrow batch in, the same with tokens out.
"""

try:
    import pyarrow as _  # noqa: F401
except ModuleNotFoundError:
    raise ImportError("fasttoken.bulk needs more packages: pip install 'fasttoken[bulk]'") from None

from .job import Job, Progress, plan, run
from .mint import check_schema, mint_batch, mint_or_reject, minted_schema, seeded_salts
from .options import Options
from .plan import Plan
from .summary import File, Reason, Summary

__all__ = [
    "File",
    "Job",
    "Options",
    "Plan",
    "Progress",
    "Reason",
    "Summary",
    "check_schema",
    "mint_batch",
    "mint_or_reject",
    "minted_schema",
    "plan",
    "run",
    "seeded_salts",
]
