/* HMAC over SHA-256 for LANES messages abreast. Included, once for each width, by a file that
 * defines LANES, LANE_FN, GROUP (the name of the ft_sha256_group to define), WORTH, and
 *   compress(state, block)           one block for each lane
 *   compress_rounds(state, rounds)   one block for all, its schedule ready
 *   load_blocks(words, blocks)       sixteen big-endian words from each of LANES places
 *   copy_tail(out, in, n, end)       n < 64 bytes, `end`, zeros up to 64 */

#define LANE_CAT2(a, b) a##_##b
#define LANE_CAT(a, b) LANE_CAT2(a, b)
#define LANE_NAME(name) LANE_CAT(GROUP, name)

#define IPAD 0x36363636u
#define OPAD 0x5c5c5c5cu

typedef struct {
    _Alignas(64) uint32_t state[8 * LANES];
    uint32_t outer[8 * LANES], done[8 * LANES], block[16 * LANES];
    uint8_t tail[LANES][128];
} LANE_NAME(scratch);
_Static_assert(sizeof(LANE_NAME(scratch)) <= FT_SHA256_SCRATCH, "FT_SHA256_SCRATCH is too small");

LANE_FN void LANE_NAME(start)(uint32_t *state) {
    for (int i = 0; i < 8; i++)
        for (int l = 0; l < LANES; l++) state[i * LANES + l] = ft_sha256_iv[i];
}

/* Hashes every lane's message behind the 64 bytes already in the state. A lane whose message
 * ends before the longest is set aside, then put back. */
LANE_FN void LANE_NAME(absorb)(LANE_NAME(scratch) *s, const uint8_t *const *messages,
                               const size_t *n, const uint16_t *rows, size_t count) {
    const uint8_t *message[LANES];
    uint64_t bits[LANES];
    size_t whole[LANES], blocks[LANES], shortest = SIZE_MAX, longest = 0;
    for (size_t l = 0; l < LANES; l++) {
        size_t row = rows[l < count ? l : 0], size = n[row], rest = size & 63;
        uint8_t *tail = s->tail[l];
        message[l] = messages[row];
        whole[l] = size / 64;
        blocks[l] = (size + 9 + 63) / 64;
        bits[l] = ((uint64_t)size + 64) * 8;
        if (blocks[l] < shortest) shortest = blocks[l];
        if (blocks[l] > longest) longest = blocks[l];
        copy_tail(tail, rest ? message[l] + (size - rest) : tail, rest, 0x80);
        if (rest >= 56) memset(tail + 64, 0, 64);
    }
    for (size_t b = 0; b < longest; b++) {
        const uint8_t *at[LANES];
        for (size_t l = 0; l < LANES; l++) {
            if (b < whole[l]) at[l] = message[l] + 64 * b;
            else if (b < blocks[l]) at[l] = s->tail[l] + 64 * (b - whole[l]);
            else at[l] = s->tail[l];
        }
        load_blocks(s->block, at);
        if (b + 1 >= shortest)
            for (size_t l = 0; l < LANES; l++)
                if (blocks[l] == b + 1) {
                    s->block[14 * LANES + l] = (uint32_t)(bits[l] >> 32);
                    s->block[15 * LANES + l] = (uint32_t)bits[l];
                }
        compress(s->state, s->block);
        if (shortest != longest)
            for (size_t l = 0; l < LANES; l++)
                if (blocks[l] == b + 1)
                    for (int i = 0; i < 8; i++) s->done[i * LANES + l] = s->state[i * LANES + l];
    }
    if (shortest != longest) memcpy(s->state, s->done, sizeof s->state);
}

/* The outer hash: the digest in `state`, behind the outer pad, gives the MAC in `state`. */
LANE_FN void LANE_NAME(finish)(LANE_NAME(scratch) *s) {
    uint32_t *block = s->block;
    memcpy(block, s->state, sizeof s->state);
    memset(block + 8 * LANES, 0, sizeof s->block - sizeof s->state);
    for (int l = 0; l < LANES; l++) {
        block[8 * LANES + l] = 0x80000000u;
        block[15 * LANES + l] = (64 + 32) * 8;
    }
    memcpy(s->state, s->outer, sizeof s->state);
    compress(s->state, block);
}

/* The two states of the key in `block`, padded with zeros and XORed with IPAD. */
LANE_FN void LANE_NAME(pads)(LANE_NAME(scratch) *s) {
    LANE_NAME(start)(s->state);
    LANE_NAME(start)(s->outer);
    compress(s->state, s->block);
    for (int i = 0; i < 16 * LANES; i++) s->block[i] ^= IPAD ^ OPAD;
    compress(s->outer, s->block);
}

LANE_FN void LANE_NAME(store)(const LANE_NAME(scratch) *s, uint8_t (*macs)[32],
                              const uint16_t *rows, size_t count) {
    for (size_t l = 0; l < count; l++)
        for (int i = 0; i < 8; i++) ft_store_be32(macs[rows[l]] + 4 * i, s->state[i * LANES + l]);
}

#if LANES == 1
/* The hash of one message; `digest` may lie in the scratch's tail. */
LANE_FN void LANE_NAME(hash)(void *scratch, const uint8_t *message, size_t n,
                             uint8_t digest[32]) {
    LANE_NAME(scratch) *s = scratch;
    const uint8_t *at = message;
    LANE_NAME(start)(s->state);
    if (n < 64) {
        copy_tail(s->tail[0], message, n, 0x80);
        at = s->tail[0];
    }
    load_blocks(s->block, &at);
    if (n < 56) s->block[15] = (uint32_t)n * 8;
    compress(s->state, s->block);
    if (n >= 64) {
        const uint8_t *rest = message + 64;
        size_t rest_size = n - 64;
        uint16_t first = 0;
        LANE_NAME(absorb)(s, &rest, &rest_size, &first, 1);
    } else if (n >= 56) {
        memset(s->block, 0, sizeof s->block);
        s->block[15] = (uint32_t)n * 8;
        compress(s->state, s->block);
    }
    for (int i = 0; i < 8; i++) ft_store_be32(digest + 4 * i, s->state[i]);
}
#endif

LANE_FN void LANE_NAME(key_init)(void *scratch, ft_hmac_key *keys, const uint8_t *const *secrets,
                                 const size_t *n, const uint16_t *rows, size_t count) {
    LANE_NAME(scratch) *s = scratch;
    const uint8_t *at[LANES];
    for (size_t l = 0; l < LANES; l++) {
        size_t row = rows[l < count ? l : 0];
        at[l] = secrets[row];
        if (n[row] < 64) {
            copy_tail(s->tail[l], secrets[row], n[row], 0);
            at[l] = s->tail[l];
        }
    }
#if LANES == 1
    if (n[rows[0]] > 64) { /* a secret longer than a block counts by its hash */
        LANE_NAME(hash)(s, at[0], n[rows[0]], s->tail[0]);
        memset(s->tail[0] + 32, 0, 32);
        at[0] = s->tail[0];
    }
#endif
    load_blocks(s->block, at);
    for (int i = 0; i < 16 * LANES; i++) s->block[i] ^= IPAD;
    LANE_NAME(pads)(s);
    for (size_t l = 0; l < count; l++)
        for (int i = 0; i < 8; i++) {
            keys[rows[l]].inner[i] = s->state[i * LANES + l];
            keys[rows[l]].outer[i] = s->outer[i * LANES + l];
        }
}

LANE_FN void LANE_NAME(hmac)(void *scratch, const ft_hmac_key *keys, size_t key_stride,
                             const uint8_t *const *messages, const size_t *n, uint8_t (*macs)[32],
                             const uint16_t *rows, size_t count) {
    LANE_NAME(scratch) *s = scratch;
    for (size_t l = 0; l < LANES; l++) {
        const ft_hmac_key *key = keys + key_stride * rows[l < count ? l : 0];
        for (int i = 0; i < 8; i++) {
            s->state[i * LANES + l] = key->inner[i];
            s->outer[i * LANES + l] = key->outer[i];
        }
    }
    LANE_NAME(absorb)(s, messages, n, rows, count);
    LANE_NAME(finish)(s);
    LANE_NAME(store)(s, macs, rows, count);
}

LANE_FN void LANE_NAME(sign_007)(void *scratch, const uint32_t key1_block[16],
                                 const uint32_t key1_rounds[64], const uint32_t *salts,
                                 const uint8_t *const *bodies, const size_t *n,
                                 uint8_t (*macs)[32], const uint16_t *rows, size_t count) {
    LANE_NAME(scratch) *s = scratch;
    for (int i = 0; i < 16 * LANES; i++) s->block[i] = IPAD;
    for (size_t l = 0; l < LANES; l++) s->block[l] ^= ft_swap32(salts[rows[l < count ? l : 0]]);
    LANE_NAME(pads)(s);
#if LANES == 1
    (void)key1_rounds; /* a schedule used once is not worth computing apart */
    compress(s->state, key1_block);
#else
    (void)key1_block;
    compress_rounds(s->state, key1_rounds);
#endif
    LANE_NAME(finish)(s);
    for (int i = 0; i < 8 * LANES; i++) s->block[i] = s->state[i] ^ IPAD; /* key2 */
    for (int i = 8 * LANES; i < 16 * LANES; i++) s->block[i] = IPAD;
    LANE_NAME(pads)(s);
    LANE_NAME(absorb)(s, bodies, n, rows, count);
    LANE_NAME(finish)(s);
    LANE_NAME(store)(s, macs, rows, count);
}

const ft_sha256_group GROUP = {
    LANES,           WORTH,           sizeof(LANE_NAME(scratch)), LANE_NAME(key_init),
    LANE_NAME(hmac), LANE_NAME(sign_007),
#if LANES == 1
    LANE_NAME(hash),
#else
    NULL,
#endif
};

#undef LANES
#undef GROUP
#undef WORTH
