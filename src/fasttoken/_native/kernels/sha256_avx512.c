/* SHA-256 of sixteen messages abreast with AVX-512: rotations and three-input logic are one
 * instruction each. */
#include "sha256.h"

#if FT_X86
#include <immintrin.h>

#define LANES 16
#define WORTH 11
#define GROUP ft_sha256_avx512_x16
#define LANE_FN static FT_TARGET("avx512f,avx512bw,avx512dq,avx512vl,bmi2")
#define VECTOR __m512i
#define V_LOAD(p) _mm512_load_si512(p)
#define V_STORE(p, v) _mm512_store_si512(p, v)
#define V_SET(word) _mm512_set1_epi32((int)(word))
#define V_ADD(a, b) _mm512_add_epi32(a, b)
#define V_SHR(v, n) _mm512_srli_epi32(v, n)
#define V_ROTR(v, n) _mm512_ror_epi32(v, n)
#define V_XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define V_CH(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define V_MAJ(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

/* Sixteen rows of sixteen words become columns: first within the 128-bit quarters, then the
 * quarters themselves. */
LANE_FN inline void load_blocks(uint32_t *words, const uint8_t *const *blocks) {
    const __m512i order = _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    __m512i r[16], s[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(blocks[i]);
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        __m512i even_low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        __m512i odd_low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        __m512i even_high = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        __m512i odd_high = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
        s[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
        s[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
        s[i + 8] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
        s[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
    }
    for (int i = 0; i < 16; i++) V_STORE(words + 16 * i, _mm512_shuffle_epi8(s[i], order));
}

LANE_FN inline void copy_tail(uint8_t *out, const uint8_t *in, size_t n, uint8_t end) {
    __mmask64 here = (__mmask64)1 << n;
    __m512i bytes = _mm512_maskz_loadu_epi8(here - 1, in);
    _mm512_storeu_si512(out, _mm512_mask_mov_epi8(bytes, here, _mm512_set1_epi8((char)end)));
}

#include "sha256_rounds.h"
#include "sha256_lanes.h"
#endif
