"""What dynamic keys 1 to 4 share: their decimal and hex texts, and the signature over them."""

import hmac
from typing import Any


def u32(value: int) -> int:
    """A number wrapped as C does: -1 becomes 4294967295."""
    return value & 0xFFFF_FFFF


def decimal(value: Any) -> str:
    return f"{value:0>10}"


def stamp(unixTs: Any, randomInt: Any) -> str:
    return decimal(unixTs) + f"{u32(int(randomInt)):08x}"


def sign(
    service: str,
    appID: str,
    appCertificate: str,
    unixTs: Any,
    randomInt: Any,
    channelName: Any,
    *numbers: Any,
) -> str:
    """The signature over a service's name, the App ID, the stamp, the channel name and numbers."""
    content = service + appID.rjust(32, "\0") + stamp(unixTs, randomInt) + str(channelName)
    content += "".join(map(decimal, numbers))
    return hmac.new(appCertificate.encode(), content.encode(), "sha1").hexdigest()
