"""The native core has the names and the types of the pure one."""

from .._pure import Certificate as Certificate
from .._pure import Envelope as Envelope
from .._pure import Layout as Layout
from .._pure import Slot as Slot
from .._pure import SlotKind as SlotKind
from .._pure import cpu_paths as cpu_paths
from .._pure import crc32 as crc32
from .._pure import decode as decode
from .._pure import deflate as deflate
from .._pure import encode as encode
from .._pure import hmac_sha256 as hmac_sha256
from .._pure import inflate as inflate
from .._pure import mint as mint
from .._pure import pack_i16 as pack_i16
from .._pure import pack_map32 as pack_map32
from .._pure import pack_str as pack_str
from .._pure import pack_u16 as pack_u16
from .._pure import pack_u32 as pack_u32
from .._pure import suspects as suspects
from .._pure import text_column as text_column
from .._pure import token_list as token_list
