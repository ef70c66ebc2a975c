/* One token straight from its values, without what a batch has to arrange for its rows. */
#ifndef FT_ONE_H
#define FT_ONE_H

#include "mint.h"

#define FT_ONE_PAYLOAD 1024 /* bytes; longer tokens are rare, and ft_mint makes any */
#define FT_ONE_STREAM 2048

/* What a column holds. */
typedef struct {
    const uint8_t *text; /* NULL: a number */
    size_t n;            /* of the text */
    uint32_t number;     /* an i16 is its low half */
} ft_value;

/* Writes what a token holds behind its prefix, before it is encoded, to `stream` (FT_ONE_STREAM
 * bytes) and returns its size; 0 if the token is too long for this. 006 signs with
 * certificate_key, 007 with key1 = HMAC(u32(issue timestamp), certificate). */
size_t ft_one(const ft_layout *layout, const ft_variant *variant, const ft_value *values,
              uint32_t issue_ts, uint32_t salt, const ft_hmac_key *certificate_key,
              const uint8_t key1[32], ft_deflate_work *work, uint8_t *stream);

#endif
