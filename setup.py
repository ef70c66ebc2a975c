"""The native core; everything else about the package is in pyproject.toml.

FASTTOKEN_BUILD says whether it is built: ``auto`` (the default: if a compiler is there),
``required`` (fail if it can't be) or ``pure`` (never).
"""

import os
import sys
from glob import glob

from setuptools import Extension, setup

CHOICES = ("auto", "required", "pure")
choice = os.environ.get("FASTTOKEN_BUILD", "auto")
if choice not in CHOICES:
    sys.exit(f"FASTTOKEN_BUILD must be one of {', '.join(CHOICES)}")

extensions = []
if choice != "pure":
    from Cython.Build import cythonize

    kernels = "src/fasttoken/_native/kernels"
    extensions = cythonize(
        Extension(
            "fasttoken._native.core",
            ["src/fasttoken/_native/core.pyx", *sorted(glob(f"{kernels}/*.c"))],
            depends=sorted(glob(f"{kernels}/*.h")),
            extra_compile_args=[] if os.name == "nt" else ["-O3", "-std=gnu11"],
        ),
    )
    for extension in extensions:
        # cythonize() builds new Extension objects, so this is said of its result.
        extension.optional = choice == "auto"

setup(ext_modules=extensions)
