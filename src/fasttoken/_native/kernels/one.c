#include "one.h"

#include <string.h>

#include "crc32.h"

#define SIGNATURE 32
#define HEAD (2 + SIGNATURE) /* str(signature) */
#define DIGITS 10            /* of a u32 */

static uint8_t *put16(uint8_t *out, uint32_t value) {
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
    return out + 2;
}

static uint8_t *put32(uint8_t *out, uint32_t value) {
    return put16(put16(out, value), value >> 16);
}

static uint8_t *put_bytes(uint8_t *out, const uint8_t *bytes, size_t n) {
    if (n == 2) memcpy(out, bytes, 2); /* a privilege: not worth a call */
    else memcpy(out, bytes, n);
    return out + n;
}

/* A number in decimal, 0 as nothing. */
static uint8_t *put_decimal(uint8_t *out, uint32_t value) {
    uint8_t digits[DIGITS];
    size_t at = DIGITS;
    for (; value; value /= 10) digits[--at] = (uint8_t)('0' + value % 10);
    memcpy(out, digits + at, DIGITS - at);
    return out + (DIGITS - at);
}

static uint8_t *put_text(uint8_t *out, const ft_value *value) {
    if (value->text == NULL) return put_decimal(out, value->number);
    return value->n ? put_bytes(out, value->text, value->n) : out;
}

/* Writes the body, of which ends[s] is where segment s ends, for the first three; returns its end,
 * or NULL if it has more than `room` bytes. */
static uint8_t *pack(const ft_variant *variant, const ft_value *values, uint32_t issue_ts,
                     uint32_t salt, uint8_t *out, size_t room, uint8_t *ends[3]) {
    if (variant->fixed > room) return NULL;
    room -= variant->fixed; /* what is left for texts */
    for (size_t s = 0; s < variant->count; s++) {
        const ft_segment *segment = &variant->segments[s];
        const ft_value *value = &values[segment->column];
        uint8_t *start;
        switch (segment->kind) {
        case FT_CONSTANT: out = put_bytes(out, segment->bytes, segment->n); break;
        case FT_U32: out = put32(out, value->number); break;
        case FT_I16: out = put16(out, value->number); break;
        case FT_ISSUE_TS: out = put32(out, issue_ts); break;
        case FT_SALT: out = put32(out, salt); break;
        case FT_STR:
        case FT_RAW:
            if ((value->text ? value->n : DIGITS) > room) return NULL;
            start = out + (segment->kind == FT_STR ? 2 : 0);
            out = put_text(start, value);
            room -= (size_t)(out - start);
            if (segment->kind == FT_STR) put16(start - 2, (uint32_t)(out - start));
            break;
        }
        if (s < 3) ends[s] = out;
    }
    return out;
}

size_t ft_one(const ft_layout *layout, const ft_variant *variant, const ft_value *values,
              uint32_t issue_ts, uint32_t salt, const ft_hmac_key *certificate_key,
              const uint8_t key1[32], ft_deflate_work *work, uint8_t *stream) {
    uint8_t payload[FT_ONE_PAYLOAD], mac[1][SIGNATURE];
    uint8_t *body = payload + HEAD, *ends[3] = {body, body, body}, *end, *out;
    end = pack(variant, values, issue_ts, salt, body, sizeof payload - HEAD, ends);
    if (end == NULL || ft_zlib_bound(sizeof payload) > FT_ONE_STREAM) return 0;
    size_t n = (size_t)(end - body);
    if (layout->envelope == FT_ACCESS_TOKEN2) {
        ft_sign_007_many(key1, &salt, &(const uint8_t *){body}, &n, mac, 1);
        memcpy(put16(payload, SIGNATURE), mac, SIGNATURE);
        return ft_zlib(payload, HEAD + n, stream, work);
    }
    /* str(signature), the check sums of channel name and uid, str(message) */
    ft_hmac(certificate_key, body, n, mac[0]);
    out = put_bytes(put16(stream, SIGNATURE), mac[0], SIGNATURE);
    out = put32(out, ft_crc32(ends[0], (size_t)(ends[1] - ends[0])));
    out = put32(out, ft_crc32(ends[1], (size_t)(ends[2] - ends[1])));
    n = (size_t)(end - ends[2]);
    return (size_t)(put_bytes(put16(out, (uint32_t)n), ends[2], n) - stream);
}
