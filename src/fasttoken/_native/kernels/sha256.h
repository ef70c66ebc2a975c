/* SHA-256 for hmac.c: a group works on several messages abreast, word by word.
 *
 * Words of several messages ("lanes") stand side by side: word i of lane j is x[i * lanes + j].
 * sha256_rounds.h is the compression written once for any width, sha256_lanes.h the HMAC
 * around it; sha256.c and its siblings instantiate them for one instruction set each. */
#ifndef FT_SHA256_H
#define FT_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hmac.h"

extern const uint32_t ft_sha256_iv[8];
extern const uint32_t ft_sha256_k[64];

/* Bytes of working memory a group may need: it holds key states, so its owner wipes it. */
#define FT_SHA256_SCRATCH 4608

typedef struct ft_sha256_group {
    size_t lanes;
    size_t worth;    /* from this many messages on it is faster than the next narrower group */
    size_t scratch;  /* bytes of scratch used */
    /* Each works on the rows rows[0] .. rows[count - 1] of the columns, 1 <= count <= lanes.
     * Only a group of one lane takes secrets longer than 64 bytes. */
    void (*key_init)(void *scratch, ft_hmac_key *keys, const uint8_t *const *secrets,
                     const size_t *n, const uint16_t *rows, size_t count);
    void (*hmac)(void *scratch, const ft_hmac_key *keys, size_t key_stride,
                 const uint8_t *const *messages, const size_t *n, uint8_t (*macs)[32],
                 const uint16_t *rows, size_t count);
    /* key1: the block HMAC appends to a salt's key state, as words; and its message schedule
     * with the round constants added. */
    void (*sign_007)(void *scratch, const uint32_t key1_block[16], const uint32_t key1_rounds[64],
                     const uint32_t *salts, const uint8_t *const *bodies, const size_t *n,
                     uint8_t (*macs)[32], const uint16_t *rows, size_t count);
    /* The plain hash of one message: of a group of one lane only. */
    void (*hash)(void *scratch, const uint8_t *message, size_t n, uint8_t digest[32]);
} ft_sha256_group;

extern const ft_sha256_group ft_sha256_portable;
extern const ft_sha256_group ft_sha256_shani, ft_sha256_shani_x2;
extern const ft_sha256_group ft_sha256_avx2_x8;
extern const ft_sha256_group ft_sha256_avx512_x16;
extern const ft_sha256_group ft_sha256_armv8;

/* The message schedule of one block with the round constants added. */
void ft_sha256_schedule(const uint32_t block[16], uint32_t rounds[64]);

static inline uint32_t ft_load_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void ft_store_be32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline uint32_t ft_swap32(uint32_t v) {
    return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24;
}

#endif
