/* SHA-256 of eight messages abreast with AVX2, for machines without the SHA extensions. */
#include "sha256.h"

#if FT_X86
#include <immintrin.h>

#define LANES 8
#define WORTH 3
#define GROUP ft_sha256_avx2_x8
#define LANE_FN static FT_TARGET("avx2")
#define VECTOR __m256i
#define V_LOAD(p) _mm256_load_si256((const __m256i *)(p))
#define V_STORE(p, v) _mm256_store_si256((__m256i *)(p), v)
#define V_SET(word) _mm256_set1_epi32((int)(word))
#define V_ADD(a, b) _mm256_add_epi32(a, b)
#define V_SHR(v, n) _mm256_srli_epi32(v, n)
#define V_ROTR(v, n) _mm256_or_si256(_mm256_srli_epi32(v, n), _mm256_slli_epi32(v, 32 - (n)))
#define V_XOR3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define V_CH(e, f, g) _mm256_xor_si256(_mm256_and_si256(e, _mm256_xor_si256(f, g)), g)
#define V_MAJ(a, b, c)                                                                            \
    _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(_mm256_or_si256(a, b), c))

/* Eight rows of eight words become columns, in two halves of the block. */
LANE_FN inline void load_blocks(uint32_t *words, const uint8_t *const *blocks) {
    const __m256i order =
        _mm256_broadcastsi128_si256(_mm_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203));
    for (int half = 0; half < 2; half++) {
        __m256i r[8], s[8];
        for (int i = 0; i < 8; i++)
            r[i] = _mm256_loadu_si256((const __m256i *)(blocks[i] + 32 * half));
        for (int i = 0; i < 8; i += 2) {
            s[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
            s[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
        }
        for (int i = 0; i < 8; i += 4) {
            r[i] = _mm256_unpacklo_epi64(s[i], s[i + 2]);
            r[i + 1] = _mm256_unpackhi_epi64(s[i], s[i + 2]);
            r[i + 2] = _mm256_unpacklo_epi64(s[i + 1], s[i + 3]);
            r[i + 3] = _mm256_unpackhi_epi64(s[i + 1], s[i + 3]);
        }
        for (int i = 0; i < 4; i++) {
            s[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
            s[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
        }
        for (int i = 0; i < 8; i++)
            V_STORE(words + 64 * half + 8 * i, _mm256_shuffle_epi8(s[i], order));
    }
}

LANE_FN inline void copy_tail(uint8_t *out, const uint8_t *in, size_t n, uint8_t end) {
    memset(out, 0, 64);
    if (n) memcpy(out, in, n);
    out[n] = end;
}

#include "sha256_rounds.h"
#include "sha256_lanes.h"
#endif
