"""From 006 to 007: a code mod for Python calls of AgoraIO's 006 builders (docs/upgrading.md).

    migrate_source    one file's bytes -> a `Migration`: the new bytes, what was rewritten, what
                      was left alone and why
    migrate_path      the same for a file or a folder
    write             the changed files, each replaced at once

The rule of the whole module: a call is rewritten only if everything it was given can be followed
to its source, so that the 007 token grants what the 006 token granted, for as long. Whatever
can't be proved is left as it stands, and reported. How a proof goes:

    names        a name is followed through its one binding, in the scope of the call
    expiry       the argument must be *the clock + a duration*, read just before the call;
                 the duration is what 007 wants, and the arithmetic, then unused, goes
    roles        numbers and constants become "publisher" and "subscriber"
    references   what is still referred to stays: assignments, and imports
"""

from .files import migrate_path, migrate_source, python_files, write
from .outcome import LeftAlone, Migration, Note, Rewritten

__all__ = [
    "LeftAlone",
    "Migration",
    "Note",
    "Rewritten",
    "migrate_path",
    "migrate_source",
    "python_files",
    "write",
]
