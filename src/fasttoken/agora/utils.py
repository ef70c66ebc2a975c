"""The one helper of AgoraIO's ``utils``."""

import hashlib


def get_md5(data: str) -> str:
    """The MD5 of a text in hex: how a Chat user id is made from a user UUID."""
    return hashlib.md5(data.encode(), usedforsecurity=False).hexdigest()
