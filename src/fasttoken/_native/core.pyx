# cython: language_level=3, boundscheck=True, wraparound=False
"""The native core: the names of ``fasttoken._pure``, in its order, on top of the C kernels.

What a function does is written there; docstrings are copied. The kernels and the choice of a CPU
path exist once in a process, so this is one extension module.
"""

import os
import zlib

from .. import _pure
from .._numpy import np
from .._pure import Envelope, SlotKind
from ..errors import CoreError, MalformedToken

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.number cimport PyNumber_Index
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DATA
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from .kernels cimport *


cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1


# CPU paths ------------------------------------------------------------------------------------

# The lanes of the DEFLATE encoder by CPU path; what is not named here is portable.
cdef dict _LANES = {"shani": "sse4", "avx2": "avx2", "avx512": "avx512", "armv8": "neon"}
cdef tuple _good
cdef tuple _failed


cdef _select_cpu():
    """Lets every path prove itself, then takes the one that FASTTOKEN_CPU names or the best."""
    global _good, _failed
    good, failed = [], []
    cdef const char *const *path = ft_cpu_paths()
    while path[0] != NULL:
        (good if ft_cpu_self_test(path[0]) else failed).append(path[0].decode())
        path += 1
    _good, _failed = tuple(good), tuple(failed)
    choice = os.environ.get("FASTTOKEN_CPU", "auto")
    if choice != "auto" and choice not in good:
        raise CoreError(f"FASTTOKEN_CPU must be one of auto, {', '.join(good)} on this machine")
    chosen = good[len(good) - 1] if choice == "auto" else choice
    if not ft_cpu_select(chosen.encode()):
        raise CoreError(f"the CPU path {chosen} failed its self-test")
    if not ft_deflate_select(_LANES.get(chosen, "portable").encode()):
        ft_deflate_select(b"portable")


_select_cpu()


def cpu_paths():
    return ft_cpu_name().decode(), _good, _failed


# Packing --------------------------------------------------------------------------------------


def crc32(bytes data not None):
    return ft_crc32(<const uint8_t *> PyBytes_AS_STRING(data), len(data))


def pack_u16(value):
    if not 0 <= value <= 0xFFFF:
        raise OverflowError(f"{value} does not fit u16")
    return _little(value, 2)


def pack_u32(value):
    if not 0 <= value <= 0xFFFF_FFFF:
        raise OverflowError(f"{value} does not fit u32")
    return _little(value, 4)


def pack_i16(value):
    if not -0x8000 <= value <= 0x7FFF:
        raise OverflowError(f"{value} does not fit i16")
    return _little(value & 0xFFFF, 2)


def pack_str(bytes data not None):
    return pack_u16(len(data)) + data


def pack_map32(values):
    return pack_u16(len(values)) + b"".join(
        [pack_u16(key) + pack_u32(values[key]) for key in sorted(values)]
    )


cdef bytes _little(number, int size):
    cdef uint32_t value = PyNumber_Index(number)
    cdef uint8_t out[4]
    cdef int i
    for i in range(4):
        out[i] = <uint8_t> (value >> (8 * i))
    return PyBytes_FromStringAndSize(<char *> out, size)


cdef uint32_t _u32(value) except? 0:
    if not 0 <= value <= 0xFFFF_FFFF:
        raise OverflowError(f"{value} does not fit u32")
    return PyNumber_Index(value)


# Signing --------------------------------------------------------------------------------------


def sha256(bytes message not None):
    cdef uint8_t digest[32]
    ft_sha256(<const uint8_t *> PyBytes_AS_STRING(message), len(message), digest)
    return PyBytes_FromStringAndSize(<char *> digest, 32)


def hmac_sha256(bytes key not None, bytes message not None):
    cdef ft_hmac_key state
    cdef uint8_t mac[32]
    ft_hmac_key_init(&state, <const uint8_t *> PyBytes_AS_STRING(key), len(key))
    ft_hmac(&state, <const uint8_t *> PyBytes_AS_STRING(message), len(message), mac)
    ft_hmac_key_wipe(&state)
    return PyBytes_FromStringAndSize(<char *> mac, 32)


cdef class Certificate:
    """An App Certificate as a signing key; its text shows up in no repr and no pickle."""

    # Docstrings of an extension class can't be set later, so these stand here again.
    # Its text, the HMAC state that 006 signs with, and the HMAC of the certificate under the
    # last issue timestamp, which 007 needs for every token. All wiped when freed.
    cdef uint8_t *text
    cdef size_t n
    cdef ft_hmac_key key
    cdef uint8_t key1[32]
    cdef int64_t key1_issue_ts

    def __cinit__(self, bytes text not None):
        self.n = len(text)
        self.text = <uint8_t *> malloc(self.n + 1)
        if self.text == NULL:
            raise MemoryError
        memcpy(self.text, PyBytes_AS_STRING(text), self.n)
        ft_hmac_key_init(&self.key, self.text, self.n)
        self.key1_issue_ts = -1

    def __dealloc__(self):
        ft_hmac_key_wipe(&self.key)
        ft_wipe(self.key1, 32)
        if self.text != NULL:
            ft_wipe(self.text, self.n)
            free(self.text)

    def __repr__(self):
        return "Certificate(***)"

    def __reduce__(self):
        raise TypeError("a Certificate can't be pickled: it would leave the process")

    def reveal(self):
        """The text itself, for the formats that sign with something else than SHA-256."""
        return PyBytes_FromStringAndSize(<char *> self.text, self.n)

    def sign_access_token(self, bytes content not None):
        """The signature of a 006 token over its signed content: 32 bytes."""
        cdef uint8_t mac[32]
        ft_hmac(&self.key, <const uint8_t *> PyBytes_AS_STRING(content), len(content), mac)
        return PyBytes_FromStringAndSize(<char *> mac, 32)

    def sign_access_token2(self, issue_ts, salt, bytes body not None):
        """The signature of a 007 token: three HMACs, from the timestamp to the body: 32 bytes."""
        cdef uint32_t issued = _u32(issue_ts)
        cdef uint32_t salted = _u32(salt)
        cdef const uint8_t *bodies[1]
        cdef size_t sizes[1]
        cdef uint8_t mac[1][32]
        self.at(issued)
        bodies[0] = <const uint8_t *> PyBytes_AS_STRING(body)
        sizes[0] = len(body)
        ft_sign_007_many(self.key1, &salted, bodies, sizes, mac, 1)
        return PyBytes_FromStringAndSize(<char *> mac[0], 32)

    cdef void at(self, uint32_t issue_ts) noexcept:
        """Sets key1; the GIL keeps it whole."""
        cdef ft_hmac_key state
        cdef uint8_t timestamp[4]
        cdef int i
        if self.key1_issue_ts == issue_ts:
            return
        for i in range(4):
            timestamp[i] = <uint8_t> (issue_ts >> (8 * i))
        ft_hmac_key_init(&state, timestamp, 4)
        ft_hmac(&state, self.text, self.n, self.key1)
        ft_hmac_key_wipe(&state)
        self.key1_issue_ts = issue_ts


# Salts ----------------------------------------------------------------------------------------

cdef enum:
    DRAWN = 256

# What was drawn and not yet handed out; changed under the GIL only.
cdef uint32_t _ready[DRAWN]
cdef int _ready_n = 0


cdef uint32_t _random_salt() except 0:
    global _ready_n
    cdef uint32_t word
    cdef int i
    while _ready_n == 0:
        drawn = os.urandom(4 * DRAWN)  # meanwhile another thread may do the same
        if len(drawn) != 4 * DRAWN:
            raise ValueError("os.urandom gave less than it was asked for")
        _ready_n = 0
        for i in range(DRAWN):
            memcpy(&word, PyBytes_AS_STRING(drawn) + 4 * i, 4)
            word = (word & 0x7FF_FFFF) + 1
            if word <= 99_999_999:
                _ready[_ready_n] = word
                _ready_n += 1
    _ready_n -= 1
    return _ready[_ready_n]


def random_salt():
    return _random_salt()


def forget_salts():
    global _ready_n
    _ready_n = 0


_pure.salt.at_fork(forget_salts)


# Deflating ------------------------------------------------------------------------------------

cdef class _Minter:
    """Working memory. What is in nobody's use is kept in a chain, changed under the GIL only."""

    cdef ft_minter *minter
    cdef _Minter next

    def __cinit__(self):
        self.minter = ft_minter_new()
        if self.minter == NULL:
            raise MemoryError

    def __dealloc__(self):
        ft_minter_free(self.minter)


cdef _Minter _spare = None
cdef int _spares = 0


cdef _Minter _take():
    global _spare, _spares
    cdef _Minter minter = _spare
    if minter is None:
        return _Minter()
    _spare, minter.next = minter.next, None
    _spares -= 1
    return minter


cdef _give_back(_Minter minter):
    global _spare, _spares
    if _spares < 16:
        minter.next = _spare
        _spare = minter
        _spares += 1


def deflate(bytes data not None):
    cdef size_t n = len(data)
    cdef uint8_t stack[1024]
    cdef uint8_t *out = stack
    if n > FT_DEFLATE_MAX:
        return zlib.compress(data, 6)
    cdef _Minter minter = _take()
    if ft_zlib_bound(n) > sizeof(stack):
        out = <uint8_t *> PyMem_Malloc(ft_zlib_bound(n))
        if out == NULL:
            raise MemoryError
    n = ft_zlib(<const uint8_t *> PyBytes_AS_STRING(data), n, out, ft_minter_deflate(minter.minter))
    stream = PyBytes_FromStringAndSize(<char *> out, n)
    if out != stack:
        PyMem_Free(out)
    _give_back(minter)
    return stream


def inflate(bytes data not None, size_t limit):
    cdef size_t consumed = 0
    cdef uint8_t stack[4096]
    cdef uint8_t *out = stack
    cdef size_t capacity = min(limit, <size_t> sizeof(stack))
    cdef const uint8_t *start = <const uint8_t *> PyBytes_AS_STRING(data)
    cdef ptrdiff_t n = ft_inflate_zlib(start, len(data), out, capacity, &consumed)
    try:
        if n == FT_INFLATE_TOO_LONG and limit > capacity:
            out = <uint8_t *> PyMem_Malloc(limit)
            if out == NULL:
                raise MemoryError
            n = ft_inflate_zlib(start, len(data), out, limit, &consumed)
        if n == FT_INFLATE_TOO_LONG:
            raise MalformedToken("zlib", f"inflates beyond {limit} bytes")
        if n < 0:
            raise MalformedToken("zlib", "not a whole, valid zlib stream")
        if consumed < <size_t> len(data):
            raise MalformedToken("zlib", "there are bytes behind the zlib stream")
        return PyBytes_FromStringAndSize(<char *> out, n)
    finally:
        if out != stack:
            PyMem_Free(out)


# Encoding -------------------------------------------------------------------------------------


def encode(bytes data not None):
    cdef size_t n = len(data)
    text = PyUnicode_New(ft_base64_size(n), 127)
    ft_base64_encode(<const uint8_t *> PyBytes_AS_STRING(data), n, <char *> PyUnicode_DATA(text))
    return text


def decode(str text not None):
    cdef size_t n = PyUnicode_GET_LENGTH(text)
    cdef ptrdiff_t size = -1
    cdef uint8_t stack[1024]
    cdef uint8_t *out = stack
    if PyUnicode_IS_ASCII(text):
        if n > sizeof(stack):
            out = <uint8_t *> PyMem_Malloc(n)
            if out == NULL:
                raise MemoryError
        size = ft_base64_decode(<const char *> PyUnicode_DATA(text), n, out)
    data = PyBytes_FromStringAndSize(<char *> out, size) if size >= 0 else None
    if out != stack:
        PyMem_Free(out)
    if data is None:
        raise MalformedToken("base64", "not base64 with padding")
    return data


# Batches --------------------------------------------------------------------------------------


cdef struct _Check:
    int64_t low, high
    const uint8_t *allowed
    Py_ssize_t longest, shortest
    bint absolute


cdef class Layout:
    """Bodies with slots, one for each choice that a row can make.

    ``prefix`` is what a token begins with. A body of the 006 envelope starts with three segments
    that only its signature covers (App ID, channel name, uid); the message follows. For
    `mint_checked`, ``checks`` has one entry a column, and ``choices`` what callers may name each
    variant by: by default its number.
    """

    cdef readonly object envelope
    cdef readonly str prefix
    cdef readonly tuple variants
    cdef readonly tuple checks
    cdef readonly dict choices
    cdef bytes prefix_bytes
    cdef list kept  # the memory that the structures point into
    cdef ft_layout c
    cdef _Check *c_checks
    cdef object slots

    def __init__(self, envelope, str prefix, variants, checks=(), choices=None):
        self.envelope = Envelope(envelope)
        self.prefix = prefix
        self.variants = tuple([tuple(segments) for segments in variants])
        self.prefix_bytes = prefix.encode()
        self.kept = []
        self.slots = set()
        cdef ft_variant *c_variants = <ft_variant *> self.memory(
            len(self.variants) * sizeof(ft_variant)
        )
        for v, segments in enumerate(self.variants):
            self.variant(&c_variants[v], segments)
        self.checks = tuple(checks)
        self.c_checks = <_Check *> self.memory(len(self.checks) * sizeof(_Check))
        for i, check in enumerate(self.checks):
            if len(check.allowed) != 256:
                raise ValueError("allowed must be a table of 256 bytes")
            self.kept.append(check.allowed)
            self.c_checks[i].low, self.c_checks[i].high = check.low, check.high
            self.c_checks[i].allowed = <const uint8_t *> PyBytes_AS_STRING(check.allowed)
            self.c_checks[i].longest, self.c_checks[i].shortest = check.longest, check.shortest
            self.c_checks[i].absolute = check.absolute
        if choices is None:
            choices = {at: at for at in range(len(self.variants))}
        self.choices = dict(choices)
        self.c.envelope = <ft_envelope> <int> self.envelope
        self.c.prefix = PyBytes_AS_STRING(self.prefix_bytes)
        self.c.prefix_n = len(self.prefix_bytes)
        self.c.variants = c_variants
        self.c.variant_count = len(self.variants)

    cdef void *memory(self, size_t n) except NULL:
        block = PyBytes_FromStringAndSize(NULL, n + 1)
        self.kept.append(block)
        return <void *> PyBytes_AS_STRING(block)

    cdef variant(self, ft_variant *out, tuple segments):
        cdef ft_segment *c_segments = <ft_segment *> self.memory(
            len(segments) * sizeof(ft_segment)
        )
        fixed = 0
        for s, segment in enumerate(segments):
            c_segments[s].column = 0
            c_segments[s].bytes = NULL
            c_segments[s].n = 0
            if isinstance(segment, bytes):
                c_segments[s].kind = FT_CONSTANT
                c_segments[s].bytes = <const uint8_t *> PyBytes_AS_STRING(segment)
                c_segments[s].n = len(segment)
                fixed += len(segment)
                continue
            c_segments[s].kind = <ft_slot_kind> <int> SlotKind(segment.kind)
            fixed += _FIXED[segment.kind]
            if segment.kind not in (SlotKind.ISSUE_TS, SlotKind.SALT):
                c_segments[s].column = segment.column
                self.slots.add((segment.kind, segment.column))
        out.segments = c_segments
        out.count = len(segments)
        out.fixed = fixed


# The bytes of a slot that are the same in every row.
cdef dict _FIXED = {
    SlotKind.U32: 4,
    SlotKind.I16: 2,
    SlotKind.STR: 2,
    SlotKind.RAW: 0,
    SlotKind.ISSUE_TS: 4,
    SlotKind.SALT: 4,
}


cdef const void *_address(array) except? NULL:
    """Where a contiguous array lies, as long as it lives."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)
    PyBuffer_Release(&view)
    return view.buf


cdef _array(array, str dtype, Py_ssize_t rows):
    """``array`` if it is what C reads as ``rows`` or more values of ``dtype``."""
    if array.dtype != dtype or not array.flags.c_contiguous or len(array) < rows:
        raise TypeError(f"needs {rows} contiguous values of {np.dtype(dtype).name}")
    return array


cdef _column(ft_column *out, kind, column, Py_ssize_t rows):
    """Sets a column; returns what must stay alive."""
    if kind == SlotKind.I16:
        out.type = FT_COLUMN_I16
        out.values = _address(_array(column, "int16", rows))
        return column
    if kind == SlotKind.U32 or not isinstance(column, tuple):
        out.type = FT_COLUMN_U32
        out.values = _address(_array(column, "uint32", rows))
        return column
    data, offsets = column
    wide = offsets.dtype == np.int64
    offsets = np.ascontiguousarray(offsets)
    out.type = FT_COLUMN_TEXT64 if wide else FT_COLUMN_TEXT32
    out.values = _address(_array(offsets, "int64" if wide else "int32", rows + 1))
    out.data = <const uint8_t *> _address(_array(data, "uint8", 0))
    out.data_n = len(data)
    return data, offsets


cdef size_t _deflate_long(
    const uint8_t *data, size_t n, uint8_t *out, size_t capacity
) noexcept with gil:
    """Long payloads go through Python's zlib."""
    try:
        stream = zlib.compress(PyBytes_FromStringAndSize(<const char *> data, n), 6)
    except Exception:
        return 0
    if <size_t> len(stream) > capacity:
        return 0
    memcpy(out, PyBytes_AS_STRING(stream), len(stream))
    return len(stream)


cdef _check(ft_mint_result result):
    if result.status == FT_MINT_TOO_LONG:
        raise OverflowError(f"{result.value} does not fit u16")
    if result.status == FT_MINT_BAD_OFFSET:
        raise ValueError(f"row {result.value}: a text lies outside its column")
    if result.status == FT_MINT_NO_ROOM:
        raise ValueError("the tokens do not fit the room")
    if result.status != FT_MINT_OK:
        raise MemoryError


cdef enum:
    MOST_VALUES = 64  # in one token, on the stack


cdef inline void _set_text(ft_value *value, const char *text, Py_ssize_t n) noexcept:
    value.text, value.n = <const uint8_t *> text, n


cdef inline void _set_number(ft_value *value, uint32_t number) noexcept:
    value.text, value.number = NULL, number


# What is at work while one token is minted; the GIL is kept meanwhile.
cdef _Minter _own = _Minter()


cdef _token(
    Layout layout, Certificate certificate, uint32_t issue_ts, uint32_t salt,
    const ft_value *values, uint8_t choice,
):
    cdef uint8_t stream[FT_ONE_STREAM]
    cdef size_t n
    cdef char *text
    certificate.at(issue_ts)
    n = ft_one(
        &layout.c, &layout.c.variants[choice], values, issue_ts, salt, &certificate.key,
        certificate.key1, ft_minter_deflate(_own.minter), stream,
    )
    if n == 0:
        return _long_token(layout, certificate, issue_ts, salt, values, choice)
    token = PyUnicode_New(layout.c.prefix_n + ft_base64_size(n), 127)
    text = <char *> PyUnicode_DATA(token)
    memcpy(text, layout.c.prefix, layout.c.prefix_n)
    ft_base64_encode(stream, n, text + layout.c.prefix_n)
    return token


cdef _long_token(
    Layout layout, Certificate certificate, uint32_t issue_ts, uint32_t salt,
    const ft_value *values, uint8_t choice,
):
    """The same as the batch of one row."""
    cdef ft_rows rows
    cdef ft_column columns[MOST_VALUES]
    cdef int64_t bounds[MOST_VALUES][2]
    cdef ft_mint_result result
    cdef int64_t offsets[2]
    cdef size_t i, at
    cdef const ft_segment *segment
    for i in range(layout.c.variants[choice].count):
        segment = &layout.c.variants[choice].segments[i]
        if segment.kind == FT_CONSTANT or segment.kind == FT_ISSUE_TS or segment.kind == FT_SALT:
            continue
        at = segment.column
        if values[at].text == NULL:
            # An i16 is read from the low half: the kernels are little-endian throughout.
            columns[at].type = FT_COLUMN_U32
            columns[at].values = &values[at].number
        else:
            bounds[at][0], bounds[at][1] = 0, values[at].n
            columns[at].type = FT_COLUMN_TEXT64
            columns[at].values = bounds[at]
            columns[at].data = values[at].text
            columns[at].data_n = values[at].n
    rows.certificate = certificate.text
    rows.certificate_n = certificate.n
    rows.certificate_key = &certificate.key
    rows.key1 = certificate.key1
    rows.issue_ts = &issue_ts
    rows.issue_ts_varies = 0
    rows.salts = &salt
    rows.columns = columns
    rows.choices = &choice
    rows.skip = NULL
    cdef _Buffer buffer = _Buffer()
    cdef _Minter minter = _take()
    result = ft_mint(
        minter.minter, &layout.c, &rows, 0, 1, &buffer.output, offsets, _deflate_long
    )
    _give_back(minter)
    _check(result)
    token = PyUnicode_New(buffer.output.size, 127)
    memcpy(PyUnicode_DATA(token), buffer.output.data, buffer.output.size)
    return token


def mint_one(
    Layout layout not None,
    Certificate certificate not None,
    issue_ts,
    salt,
    values,
    choice=0,
):
    cdef ft_value ready[MOST_VALUES]
    cdef Py_ssize_t at, count = len(values)
    if count > MOST_VALUES:
        return _pure.mint_one(layout, certificate, issue_ts, salt, values, choice)
    if not 0 <= choice < len(layout.variants):
        raise IndexError("tuple index out of range")
    cdef const ft_variant *variant = &layout.c.variants[<size_t> choice]
    cdef const ft_segment *segment
    cdef size_t s
    for s in range(variant.count):
        segment = &variant.segments[s]
        if segment.kind == FT_CONSTANT or segment.kind == FT_ISSUE_TS or segment.kind == FT_SALT:
            continue
        at = segment.column
        value = values[at]
        if (segment.kind == FT_STR or segment.kind == FT_RAW) and isinstance(value, bytes):
            _set_text(&ready[at], PyBytes_AS_STRING(value), len(value))
        elif segment.kind == FT_I16:
            if not -0x8000 <= value <= 0x7FFF:
                raise OverflowError(f"{value} does not fit i16")
            _set_number(&ready[at], value & 0xFFFF)
        else:
            _set_number(&ready[at], _u32(value))
    return _token(layout, certificate, _u32(issue_ts), _u32(salt), ready, choice)


cdef bint _plain_int(value, int64_t *number):
    """Sets a number that is a plain int and fits."""
    cdef int overflow = 0
    if type(value) is not int:
        return False
    number[0] = PyLong_AsLongLongAndOverflow(value, &overflow)
    return not overflow


cdef bint _plain_u32(value, uint32_t *number):
    cdef int64_t wide = 0
    if not _plain_int(value, &wide) or wide >> 32:  # a negative number has bits there too
        return False
    number[0] = <uint32_t> wide
    return True


cdef const char *_plain_text(value, Py_ssize_t *n):
    """The UTF-8 of a plain str; NULL if it is none, or no valid Unicode."""
    if type(value) is not str:
        return NULL
    if PyUnicode_IS_ASCII(value):
        n[0] = PyUnicode_GET_LENGTH(value)
        return <const char *> PyUnicode_DATA(value)
    try:
        return PyUnicode_AsUTF8AndSize(value, n)
    except UnicodeEncodeError:
        return NULL


cdef bint _set_checked(
    ft_value *ready, value, const _Check *check, uint32_t issue_ts
) except -1:
    """Sets a value that passes its check; else it is False."""
    cdef int64_t number = 0
    cdef const uint8_t *allowed = check.allowed
    cdef const char *text
    cdef Py_ssize_t n = 0, i = 0
    if _plain_int(value, &number):
        if not check.low <= number <= check.high:
            return False
        if check.absolute:
            number += issue_ts
            if number >> 32:
                return False
        _set_number(ready, <uint32_t> number)
        return True
    text = _plain_text(value, &n)
    if text == NULL or not check.shortest <= n <= check.longest:
        return False
    while i < n and allowed[<uint8_t> text[i]]:
        i += 1
    _set_text(ready, text, n)
    return i == n


cdef Py_ssize_t _variant(Layout layout, choice) except -2:
    """The variant that a caller named; -1 for none."""
    cdef PyObject *variant
    if type(choice) is bool:
        return -1
    try:
        variant = PyDict_GetItemWithError(layout.choices, choice)
    except TypeError:  # it can't be a key
        return -1
    return -1 if variant == NULL else <object> variant


def mint_checked(
    Layout layout not None,
    Certificate certificate not None,
    clock,
    issue_ts,
    salt,
    tuple values not None,
    choice=0,
):
    cdef ft_value ready[MOST_VALUES]
    cdef Py_ssize_t variant, at, count = len(layout.checks)
    cdef double now
    cdef uint32_t issued, salted
    if count != len(values):
        raise ValueError("values must be as many as the layout's checks")
    if count > MOST_VALUES:
        return _pure.mint_checked(layout, certificate, clock, issue_ts, salt, values, choice)
    if issue_ts is None:
        now = clock()
        if not -1 < now < 4294967296.0:
            return None
        issued = <uint32_t> now
    elif not _plain_u32(issue_ts, &issued):
        return None
    if salt is None:
        salted = _random_salt()
    elif not _plain_u32(salt, &salted):
        return None
    for at in range(count):
        if not _set_checked(&ready[at], values[at], &layout.c_checks[at], issued):
            return None
    variant = _variant(layout, choice)
    if variant < 0:
        return None
    if <size_t> variant >= layout.c.variant_count:
        raise IndexError("tuple index out of range")
    return _token(layout, certificate, issued, salted, ready, variant)


cdef class _Columns:
    """The columns of a batch as the kernels take them; keeps their memory alive."""

    cdef ft_column *c
    cdef list kept

    def __cinit__(self, Layout layout, columns, Py_ssize_t rows):
        self.c = <ft_column *> PyMem_Malloc((len(columns) + 1) * sizeof(ft_column))
        if self.c == NULL:
            raise MemoryError
        self.kept = [
            _column(&self.c[column], kind, columns[column], rows) for kind, column in layout.slots
        ]

    def __dealloc__(self):
        PyMem_Free(self.c)


def mint_bound(Layout layout not None, columns, Py_ssize_t start, Py_ssize_t stop):
    if not 0 <= start <= stop:
        raise ValueError("start and stop must be a range of rows")
    cdef _Columns c_columns = _Columns(layout, columns, stop)
    return ft_mint_bound(&layout.c, c_columns.c, start, stop)


def mint(
    Layout layout not None,
    Certificate certificate not None,
    issue_ts,
    salts,
    columns,
    choices,
    skip,
    Py_ssize_t start,
    Py_ssize_t stop,
    room,
    begins,
):
    cdef ft_rows rows
    cdef ft_mint_result result
    cdef ft_output output
    cdef _Minter minter
    cdef int64_t *offsets
    if not 0 <= start <= stop:
        raise ValueError("start and stop must be a range of rows")
    cdef _Columns c_columns = _Columns(layout, columns, stop)
    rows.certificate = certificate.text
    rows.certificate_n = certificate.n
    rows.certificate_key = &certificate.key
    rows.key1 = NULL
    rows.issue_ts_varies = len(issue_ts) != 1
    rows.issue_ts = <const uint32_t *> _address(
        _array(issue_ts, "uint32", stop if rows.issue_ts_varies else 1)
    )
    rows.salts = <const uint32_t *> _address(_array(salts, "uint32", stop))
    rows.columns = c_columns.c
    rows.choices = NULL
    if choices is not None:
        rows.choices = <const uint8_t *> _address(_array(choices, "uint8", stop))
        if start < stop and choices[start:stop].max() >= layout.c.variant_count:
            raise ValueError("choices must be variants of the layout")
    rows.skip = NULL
    if skip is not None:
        rows.skip = <const uint8_t *> _address(_array(skip, "bool", stop))
    output.data = <char *> _address(_array(room, "uint8", 0))
    output.size, output.capacity, output.fixed = 0, len(room), 1
    offsets = <int64_t *> _address(_array(begins, "int64", stop - start + 1))
    minter = _take()
    with nogil:
        result = ft_mint(
            minter.minter, &layout.c, &rows, start, stop, &output, offsets, _deflate_long
        )
    _give_back(minter)
    _check(result)
    return output.size


cdef class _Buffer:
    """Memory that grew outside of NumPy, handed to it without a copy."""

    cdef ft_output output

    def __cinit__(self):
        self.output.data = NULL
        self.output.size = self.output.capacity = self.output.fixed = 0

    def __dealloc__(self):
        free(self.output.data)

    @property
    def __array_interface__(self):
        return {
            "shape": (self.output.size,),
            "typestr": "|u1",
            "data": (<size_t> self.output.data, False),
            "version": 3,
        }


def text_column(values):
    cdef Py_ssize_t size, count = len(values), row = 0
    cdef size_t used = 0, capacity = 64 * count + 64
    cdef const char *text = NULL
    cdef _Buffer buffer = _Buffer()
    cdef int64_t *offsets
    cdef char *grown
    bounds = np.zeros(count + 1, np.int64)
    offsets = <int64_t *> _address(bounds)
    bad = []
    buffer.output.data = <char *> malloc(capacity)
    if buffer.output.data == NULL:
        raise MemoryError
    # A list could change its length while an item's __len__ runs; none does, but the bound of
    # `offsets` must not depend on it.
    for row in range(count):
        value = values[row]
        size = 0
        if not isinstance(value, str):
            bad.append(row)
        else:
            try:
                text = PyUnicode_AsUTF8AndSize(value, &size)
            except UnicodeEncodeError:
                bad.append(row)
                size = 0
        if size:
            if used + size > capacity:
                capacity = 2 * (used + size)
                grown = <char *> realloc(buffer.output.data, capacity)
                if grown == NULL:
                    raise MemoryError
                buffer.output.data = grown
            memcpy(buffer.output.data + used, text, size)
            used += size
        offsets[row + 1] = used
    buffer.output.size = used
    if used == 0:
        return np.empty(0, np.uint8), bounds, bad
    return np.asarray(buffer), bounds, bad


def suspects(data, offsets, bytes allowed not None, Py_ssize_t longest):
    cdef Py_ssize_t rows = len(offsets) - 1
    cdef uint8_t *out
    cdef const uint8_t *table = <const uint8_t *> PyBytes_AS_STRING(allowed)
    cdef const uint8_t *text = <const uint8_t *> _address(_array(data, "uint8", 0))
    cdef size_t data_n = len(data)
    cdef bint wide = offsets.dtype == np.int64
    cdef const void *bounds
    if len(allowed) != 256:
        raise ValueError("allowed must be a table of 256 bytes")
    offsets = _array(np.ascontiguousarray(offsets), "int64" if wide else "int32", 1)
    bounds = _address(offsets)
    marked = np.zeros(rows, np.bool_)
    out = <uint8_t *> _address(marked)
    cdef Py_ssize_t row
    with nogil:
        for row in range(rows):
            out[row] = _suspect(table, text, data_n, bounds, wide, row, longest)
    return marked


cdef bint _suspect(
    const uint8_t *table, const uint8_t *text, size_t data_n, const void *bounds, bint wide,
    Py_ssize_t row, Py_ssize_t longest,
) noexcept nogil:
    cdef int64_t start, stop, at
    cdef uint8_t good = 1
    if wide:
        start, stop = (<const int64_t *> bounds)[row], (<const int64_t *> bounds)[row + 1]
    else:
        start, stop = (<const int32_t *> bounds)[row], (<const int32_t *> bounds)[row + 1]
    if start < 0 or stop <= start or stop - start > longest or <size_t> stop > data_n:
        return True
    for at in range(start, stop):
        good &= table[text[at]] != 0
    return not good


def token_list(data, offsets):
    cdef Py_ssize_t rows = len(offsets) - 1, row
    cdef const char *text = <const char *> _address(_array(data, "uint8", 0))
    cdef const int64_t *bounds = <const int64_t *> _address(_array(offsets, "int64", 1))
    cdef list tokens = [None] * rows
    for row in range(rows):
        token = PyUnicode_New(bounds[row + 1] - bounds[row], 127)
        memcpy(PyUnicode_DATA(token), text + bounds[row], bounds[row + 1] - bounds[row])
        tokens[row] = token
    return tokens


# Verifying ------------------------------------------------------------------------------------


cdef class _Memory:
    """Memory for structures, freed together."""

    cdef list blocks

    def __cinit__(self):
        self.blocks = []

    cdef void *take(self, size_t n) except NULL:
        block = PyBytes_FromStringAndSize(NULL, n + 1)
        self.blocks.append(block)
        return <void *> PyBytes_AS_STRING(block)


cdef const ft_pattern *_patterns(_Memory memory, patterns) except NULL:
    cdef ft_pattern *out = <ft_pattern *> memory.take(len(patterns) * sizeof(ft_pattern))
    cdef ft_pattern_field *fields
    cdef uint16_t *one_of
    cdef Py_ssize_t p, i
    for p, pattern in enumerate(patterns):
        one_of = <uint16_t *> memory.take(len(pattern.one_of) * sizeof(uint16_t))
        for i, key in enumerate(pattern.one_of):
            one_of[i] = key
        fields = <ft_pattern_field *> memory.take(len(pattern.fields) * sizeof(ft_pattern_field))
        for i, field in enumerate(pattern.fields):
            if len(field.check.allowed) != 256:
                raise ValueError("allowed must be a table of 256 bytes")
            if not 0 <= field.asked <= 2:
                raise ValueError("asked must be 0, 1 or 2")
            memory.blocks.append(field.check.allowed)
            fields[i].allowed = <const uint8_t *> PyBytes_AS_STRING(field.check.allowed)
            fields[i].longest = field.check.longest
            fields[i].asked = field.asked
        out[p].type, out[p].entry = pattern.type, pattern.entry
        out[p].one_of, out[p].one_of_n = one_of, len(pattern.one_of)
        out[p].fields, out[p].field_n = fields, len(pattern.fields)
    return out


cdef _ask(ft_asked *out, ft_column *column, value, Py_ssize_t rows):
    """Sets what is asked; returns what must stay alive."""
    out.column = NULL
    out.varies = 0
    if value is None:
        return None
    given = len(value[1]) - 1 if isinstance(value, tuple) else len(value)
    out.varies = given > 1
    out.column = column
    return _column(column, SlotKind.RAW, value, rows if given > 1 else 1)


def accept(
    question,
    certificates,
    data,
    offsets,
    channel_names,
    uids,
    Py_ssize_t start,
    Py_ssize_t stop,
):
    cdef ft_question q
    cdef ft_column tokens, channel_column, uid_column
    cdef _Memory memory = _Memory()
    cdef Py_ssize_t count = max(stop - start, 0)
    cdef bytes app_id = question.app_id
    cdef Certificate certificate
    cdef uint8_t *c_which
    cdef int64_t *c_ends
    cdef int done = 1
    if not 0 <= start <= stop:
        raise ValueError("start and stop must be a range of rows")
    if not 1 <= len(certificates) <= 2:
        raise ValueError("certificates must be one or two")
    q.patterns, q.pattern_n = _patterns(memory, question.patterns), len(question.patterns)
    q.app_id, q.app_id_n = <const uint8_t *> PyBytes_AS_STRING(app_id), len(app_id)
    q.now, q.leeway = question.now, question.leeway
    q.longest_lifetime, q.longest_token = question.longest_lifetime, question.longest_token
    q.certificate_count = len(certificates)
    for i, certificate in enumerate(certificates):
        q.certificates[<Py_ssize_t> i] = certificate.text
        q.certificate_n[<Py_ssize_t> i] = certificate.n
    _kept = [
        _column(&tokens, SlotKind.RAW, (data, offsets), stop),
        _ask(&q.asked[0], &channel_column, channel_names, stop),
        _ask(&q.asked[1], &uid_column, uids, stop),
    ]
    which, ends = np.zeros(count, np.uint8), np.zeros(count, np.int64)
    c_which, c_ends = <uint8_t *> _address(which), <int64_t *> _address(ends)
    with nogil:
        done = ft_accept(&q, &tokens, start, stop, c_which, c_ends)
    if not done:
        raise MemoryError
    return which, ends


# What is data in both cores exists once, and docstrings are written once.
__all__ = _pure.__all__
for _name in __all__:
    _pure_one = getattr(_pure, _name)
    if _name not in globals():
        globals()[_name] = _pure_one
    elif not isinstance(_pure_one, type):
        globals()[_name].__doc__ = _pure_one.__doc__
