/* The reader's half of DEFLATE: zlib streams (RFC 1950, RFC 1951) of bounded size. */
#ifndef FT_INFLATE_H
#define FT_INFLATE_H

#include <stddef.h>
#include <stdint.h>

enum {
    FT_INFLATE_TRUNCATED = -1,    /* the stream ends too early */
    FT_INFLATE_BAD_HEADER = -2,   /* not zlib, or it wants a preset dictionary */
    FT_INFLATE_BAD_BLOCK = -3,    /* reserved type, or a stored length that disagrees */
    FT_INFLATE_BAD_CODE = -4,     /* impossible Huffman codes, or bits that are no code */
    FT_INFLATE_BAD_DISTANCE = -5, /* a match from before the beginning */
    FT_INFLATE_TOO_LONG = -6,     /* more than `capacity` bytes */
    FT_INFLATE_BAD_CHECKSUM = -7  /* Adler-32 is not that of the bytes */
};

/* Decompresses one stream into `out` and returns the bytes written, or a negative FT_INFLATE_*.
 * *consumed (which may be NULL) is the length of the stream, set on success only: bytes after
 * it are the caller's to judge. On failure bytes of `out` may have been written. */
ptrdiff_t ft_inflate_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t capacity,
                          size_t *consumed);

/* Known answers: 1 good, 0 wrong. */
int ft_inflate_self_test(void);

#endif
