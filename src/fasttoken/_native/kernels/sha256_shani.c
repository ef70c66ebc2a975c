/* SHA-256 with the x86 SHA extensions, one message or two interleaved: an instruction of one
 * stream runs while the other waits for its result. */
#include "sha256.h"

#if FT_X86
#include <immintrin.h>

#define LANE_FN static FT_TARGET("sse4.1,ssse3,sha")

LANE_FN inline __m128i load_swapped(const uint8_t *p) {
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), order);
}

LANE_FN inline void copy_tail(uint8_t *out, const uint8_t *in, size_t n, uint8_t end) {
    memset(out, 0, 64);
    if (n) memcpy(out, in, n);
    out[n] = end;
}

/* Four rounds of stream s, whose words g are the oldest four of the schedule. */
#define FOUR_ROUNDS(s, g)                                                                         \
    do {                                                                                          \
        __m128i wk = _mm_add_epi32(w##s[g], _mm_loadu_si128((const __m128i *)(k + 4 * (g))));     \
        cdgh##s = _mm_sha256rnds2_epu32(cdgh##s, abef##s, wk);                                    \
        abef##s = _mm_sha256rnds2_epu32(abef##s, cdgh##s, _mm_shuffle_epi32(wk, 0x0e));           \
    } while (0)

#define EXTEND(s, g)                                                                              \
    do {                                                                                          \
        __m128i older = _mm_sha256msg1_epu32(w##s[g], w##s[((g) + 1) & 3]);                       \
        __m128i middle = _mm_alignr_epi8(w##s[((g) + 3) & 3], w##s[((g) + 2) & 3], 4);            \
        w##s[g] = _mm_sha256msg2_epu32(_mm_add_epi32(older, middle), w##s[((g) + 3) & 3]);        \
    } while (0)

#define EACH_0(op, g) op(0, g)
#define EACH_01(op, g) op(0, g); op(1, g)

#define SIXTY_FOUR_ROUNDS(EACH)                                                                   \
    do {                                                                                          \
        const uint32_t *k = ft_sha256_k;                                                          \
        for (int t = 0; t < 3; t++, k += 16) {                                                    \
            EACH(FOUR_ROUNDS, 0);                                                                 \
            EACH(EXTEND, 0);                                                                      \
            EACH(FOUR_ROUNDS, 1);                                                                 \
            EACH(EXTEND, 1);                                                                      \
            EACH(FOUR_ROUNDS, 2);                                                                 \
            EACH(EXTEND, 2);                                                                      \
            EACH(FOUR_ROUNDS, 3);                                                                 \
            EACH(EXTEND, 3);                                                                      \
        }                                                                                         \
        EACH(FOUR_ROUNDS, 0);                                                                     \
        EACH(FOUR_ROUNDS, 1);                                                                     \
        EACH(FOUR_ROUNDS, 2);                                                                     \
        EACH(FOUR_ROUNDS, 3);                                                                     \
    } while (0)

#define LOAD(p) _mm_load_si128((const __m128i *)(p))
#define STORE(p, v) _mm_store_si128((__m128i *)(p), v)

/* --- one message --- */

LANE_FN void compress_x1(uint32_t *state, const uint32_t *block) {
    __m128i badc = _mm_shuffle_epi32(LOAD(state), 0xb1);
    __m128i hgfe = _mm_shuffle_epi32(LOAD(state + 4), 0x1b);
    __m128i abef0 = _mm_alignr_epi8(badc, hgfe, 8), abef_start = abef0;
    __m128i cdgh0 = _mm_blend_epi16(hgfe, badc, 0xf0), cdgh_start = cdgh0;
    __m128i w0[4] = {LOAD(block), LOAD(block + 4), LOAD(block + 8), LOAD(block + 12)};
    SIXTY_FOUR_ROUNDS(EACH_0);
    __m128i abef = _mm_shuffle_epi32(_mm_add_epi32(abef0, abef_start), 0x1b);
    __m128i cdgh = _mm_shuffle_epi32(_mm_add_epi32(cdgh0, cdgh_start), 0x1b);
    STORE(state, _mm_unpacklo_epi64(abef, cdgh));
    STORE(state + 4, _mm_unpackhi_epi64(abef, cdgh));
}

LANE_FN void load_blocks_x1(uint32_t *words, const uint8_t *const *blocks) {
    for (int i = 0; i < 16; i += 4) STORE(words + i, load_swapped(blocks[0] + 4 * i));
}

#define LANES 1
#define WORTH 1
#define GROUP ft_sha256_shani
#define compress compress_x1
#define load_blocks load_blocks_x1
#include "sha256_lanes.h"
#undef compress
#undef load_blocks

/* --- two messages: words 2i and 2i + 1 of both stand in one register --- */

LANE_FN inline __m128i gather(__m128i first, __m128i second, int lane) {
    __m128 a = _mm_castsi128_ps(first), b = _mm_castsi128_ps(second);
    return _mm_castps_si128(lane ? _mm_shuffle_ps(a, b, 0xdd) : _mm_shuffle_ps(a, b, 0x88));
}

/* Of two registers x0 x1 y0 y1 and z0 z1 u0 u1: y z order as the SHA instructions want it. */
LANE_FN inline __m128i gather_state(__m128i ab, __m128i ef, int lane) {
    __m128 hi = _mm_castsi128_ps(ab), lo = _mm_castsi128_ps(ef);
    return _mm_castps_si128(lane ? _mm_shuffle_ps(lo, hi, 0x77) : _mm_shuffle_ps(lo, hi, 0x22));
}

LANE_FN inline void scatter_state(uint32_t *ab, uint32_t *ef, __m128i x0, __m128i x1) {
    STORE(ab, _mm_add_epi32(LOAD(ab), _mm_shuffle_epi32(_mm_unpackhi_epi32(x0, x1), 0x4e)));
    STORE(ef, _mm_add_epi32(LOAD(ef), _mm_shuffle_epi32(_mm_unpacklo_epi32(x0, x1), 0x4e)));
}

LANE_FN void compress_x2(uint32_t *state, const uint32_t *block) {
    __m128i ab = LOAD(state), cd = LOAD(state + 4), ef = LOAD(state + 8), gh = LOAD(state + 12);
    __m128i abef0 = gather_state(ab, ef, 0), abef1 = gather_state(ab, ef, 1);
    __m128i cdgh0 = gather_state(cd, gh, 0), cdgh1 = gather_state(cd, gh, 1);
    __m128i w0[4], w1[4];
    for (int i = 0; i < 4; i++) {
        w0[i] = gather(LOAD(block + 8 * i), LOAD(block + 8 * i + 4), 0);
        w1[i] = gather(LOAD(block + 8 * i), LOAD(block + 8 * i + 4), 1);
    }
    SIXTY_FOUR_ROUNDS(EACH_01);
    scatter_state(state, state + 8, abef0, abef1);
    scatter_state(state + 4, state + 12, cdgh0, cdgh1);
}

#define READY_ROUNDS(s, wk)                                                                       \
    do {                                                                                          \
        cdgh##s = _mm_sha256rnds2_epu32(cdgh##s, abef##s, wk);                                    \
        abef##s = _mm_sha256rnds2_epu32(abef##s, cdgh##s, _mm_shuffle_epi32(wk, 0x0e));           \
    } while (0)

LANE_FN void compress_rounds_x2(uint32_t *state, const uint32_t *rounds) {
    __m128i ab = LOAD(state), cd = LOAD(state + 4), ef = LOAD(state + 8), gh = LOAD(state + 12);
    __m128i abef0 = gather_state(ab, ef, 0), abef1 = gather_state(ab, ef, 1);
    __m128i cdgh0 = gather_state(cd, gh, 0), cdgh1 = gather_state(cd, gh, 1);
    for (int t = 0; t < 64; t += 4) {
        __m128i wk = _mm_loadu_si128((const __m128i *)(rounds + t));
        EACH_01(READY_ROUNDS, wk);
    }
    scatter_state(state, state + 8, abef0, abef1);
    scatter_state(state + 4, state + 12, cdgh0, cdgh1);
}

LANE_FN void load_blocks_x2(uint32_t *words, const uint8_t *const *blocks) {
    for (int i = 0; i < 16; i += 4) {
        __m128i first = load_swapped(blocks[0] + 4 * i), second = load_swapped(blocks[1] + 4 * i);
        STORE(words + 2 * i, _mm_unpacklo_epi32(first, second));
        STORE(words + 2 * i + 4, _mm_unpackhi_epi32(first, second));
    }
}

#define LANES 2
#define WORTH 2
#define GROUP ft_sha256_shani_x2
#define compress compress_x2
#define compress_rounds compress_rounds_x2
#define load_blocks load_blocks_x2
#include "sha256_lanes.h"
#endif
