"""The kernels: plain C, no Python."""

from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t


cdef extern from "kernels/cpu.h" nogil:
    const char *const *ft_cpu_paths()
    int ft_cpu_select(const char *name)
    const char *ft_cpu_name()
    int ft_cpu_self_test(const char *name)

cdef extern from "kernels/crc32.h" nogil:
    uint32_t ft_crc32(const uint8_t *data, size_t n)

cdef extern from "kernels/hmac.h" nogil:
    void ft_sha256(const uint8_t *message, size_t n, uint8_t *digest)
    ctypedef struct ft_hmac_key:
        pass
    void ft_hmac_key_init(ft_hmac_key *key, const uint8_t *secret, size_t n)
    void ft_hmac_key_wipe(ft_hmac_key *key)
    void ft_hmac(const ft_hmac_key *key, const uint8_t *message, size_t n, uint8_t *mac)
    void ft_sign_007_many(const uint8_t *key1, const uint32_t *salts, const uint8_t *const *bodies,
                          const size_t *n, uint8_t (*macs)[32], size_t count)
    void ft_wipe(void *memory, size_t n)

cdef extern from "kernels/base64.h" nogil:
    size_t ft_base64_size(size_t n)
    void ft_base64_encode(const uint8_t *data, size_t n, char *out)
    ptrdiff_t ft_base64_decode(const char *text, size_t n, uint8_t *out)

cdef extern from "kernels/inflate.h" nogil:
    enum:
        FT_INFLATE_TOO_LONG
    ptrdiff_t ft_inflate_zlib(const uint8_t *data, size_t n, uint8_t *out, size_t capacity,
                              size_t *consumed)

cdef extern from "kernels/deflate.h" nogil:
    size_t FT_DEFLATE_MAX
    ctypedef struct ft_deflate_work:
        pass
    size_t ft_zlib_bound(size_t n)
    size_t ft_zlib(const uint8_t *data, size_t n, uint8_t *out, ft_deflate_work *work)
    int ft_deflate_select(const char *name)

cdef extern from "kernels/mint.h" nogil:
    ctypedef enum ft_slot_kind:
        FT_U32, FT_I16, FT_STR, FT_RAW, FT_ISSUE_TS, FT_SALT, FT_CONSTANT
    ctypedef enum ft_envelope:
        FT_ACCESS_TOKEN, FT_ACCESS_TOKEN2
    ctypedef struct ft_segment:
        ft_slot_kind kind
        size_t column
        const uint8_t *bytes
        size_t n
    ctypedef struct ft_variant:
        const ft_segment *segments
        size_t count
        size_t fixed
    ctypedef struct ft_layout:
        ft_envelope envelope
        const char *prefix
        size_t prefix_n
        const ft_variant *variants
        size_t variant_count
    ctypedef enum ft_column_type:
        FT_COLUMN_U32, FT_COLUMN_I16, FT_COLUMN_TEXT32, FT_COLUMN_TEXT64
    ctypedef struct ft_column:
        ft_column_type type
        const void *values
        const uint8_t *data
        size_t data_n
    ctypedef struct ft_rows:
        const uint8_t *certificate
        size_t certificate_n
        const ft_hmac_key *certificate_key
        const uint8_t *key1
        const uint32_t *issue_ts
        int issue_ts_varies
        const uint32_t *salts
        const ft_column *columns
        const uint8_t *choices
        const uint8_t *skip
    ctypedef struct ft_output:
        char *data
        size_t size, capacity
        int fixed
    ctypedef enum ft_mint_status:
        FT_MINT_OK, FT_MINT_NO_MEMORY, FT_MINT_TOO_LONG, FT_MINT_BAD_OFFSET, FT_MINT_NO_DEFLATE
        FT_MINT_NO_ROOM
    ctypedef struct ft_mint_result:
        ft_mint_status status
        size_t value
    ctypedef size_t (*ft_deflate_long)(const uint8_t *data, size_t n, uint8_t *out,
                                       size_t capacity) noexcept nogil
    ctypedef struct ft_minter:
        pass
    ft_minter *ft_minter_new()
    void ft_minter_free(ft_minter *minter)
    ft_deflate_work *ft_minter_deflate(ft_minter *minter)
    size_t ft_mint_bound(const ft_layout *layout, const ft_column *columns, size_t start,
                         size_t stop)
    ft_mint_result ft_mint(ft_minter *minter, const ft_layout *layout, const ft_rows *rows,
                           size_t start, size_t stop, ft_output *output, int64_t *offsets,
                           ft_deflate_long deflate_long)

cdef extern from "kernels/one.h" nogil:
    enum:
        FT_ONE_STREAM
    ctypedef struct ft_value:
        const uint8_t *text
        size_t n
        uint32_t number
    size_t ft_one(const ft_layout *layout, const ft_variant *variant, const ft_value *values,
                  uint32_t issue_ts, uint32_t salt, const ft_hmac_key *certificate_key,
                  const uint8_t *key1, ft_deflate_work *work, uint8_t *stream)

cdef extern from "kernels/accept.h" nogil:
    ctypedef struct ft_pattern_field:
        const uint8_t *allowed
        size_t longest
        int asked
    ctypedef struct ft_pattern:
        uint16_t type, entry
        const uint16_t *one_of
        size_t one_of_n
        const ft_pattern_field *fields
        size_t field_n
    ctypedef struct ft_asked:
        const ft_column *column
        int varies
    ctypedef struct ft_question:
        const ft_pattern *patterns
        size_t pattern_n
        const uint8_t *app_id
        size_t app_id_n
        const uint8_t *certificates[2]
        size_t certificate_n[2]
        size_t certificate_count
        int64_t now, leeway
        uint32_t longest_lifetime
        size_t longest_token
        ft_asked asked[2]
    int ft_accept(const ft_question *question, const ft_column *tokens, size_t start, size_t stop,
                  uint8_t *which, int64_t *ends)
