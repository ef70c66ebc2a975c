/* Base64 with AVX-512 VBMI: 48 bytes and 64 characters at a time; masks take the rest. */
#include "base64.h"

#if FT_X86
#include <immintrin.h>

#define VBMI FT_TARGET("avx512f,avx512bw,avx512vbmi,bmi2")

VBMI void ft_base64_encode_vbmi(const uint8_t *in, size_t n, char *out) {
    /* Bytes a b c become b a c b, so that each six bits lie together in one word. */
    const __m512i spread = _mm512_set_epi8(
        46, 47, 45, 46, 43, 44, 42, 43, 40, 41, 39, 40, 37, 38, 36, 37, 34, 35, 33, 34, 31, 32, 30,
        31, 28, 29, 27, 28, 25, 26, 24, 25, 22, 23, 21, 22, 19, 20, 18, 19, 16, 17, 15, 16, 13, 14,
        12, 13, 10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
    const __m512i sixes = _mm512_set1_epi64(0x3036242a1016040a); /* where each six start */
    const __m512i alphabet = _mm512_loadu_si512(ft_base64_alphabet);
    for (; n >= 48; n -= 48, in += 48, out += 64) {
        __m512i bytes = _mm512_maskz_loadu_epi8(0xffffffffffff, in);
        __m512i six = _mm512_multishift_epi64_epi8(sixes, _mm512_permutexvar_epi8(spread, bytes));
        _mm512_storeu_si512(out, _mm512_permutexvar_epi8(six, alphabet));
    }
    if (n) {
        __m512i bytes = _mm512_maskz_loadu_epi8(_bzhi_u64(~0ull, (unsigned)n), in);
        __m512i six = _mm512_multishift_epi64_epi8(sixes, _mm512_permutexvar_epi8(spread, bytes));
        __mmask64 digits = _bzhi_u64(~0ull, (unsigned)((n * 4 + 2) / 3));
        __m512i text = _mm512_mask_permutexvar_epi8(_mm512_set1_epi8('='), digits, six, alphabet);
        _mm512_mask_storeu_epi8(out, _bzhi_u64(~0ull, (unsigned)((n + 2) / 3 * 4)), text);
    }
}

VBMI size_t ft_base64_decode_vbmi(const char *in, size_t n, uint8_t *out) {
    const __m512i low = _mm512_loadu_si512(ft_base64_values);
    const __m512i high = _mm512_loadu_si512(ft_base64_values + 64);
    const __m512i pack = _mm512_set_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 61, 62, 56, 57, 58, 52, 53, 54, 48, 49,
        50, 44, 45, 46, 40, 41, 42, 36, 37, 38, 32, 33, 34, 28, 29, 30, 24, 25, 26, 20, 21, 22, 16,
        17, 18, 12, 13, 14, 8, 9, 10, 4, 5, 6, 0, 1, 2);
    size_t done = 0;
    while (done < n) {
        size_t size = n - done < 64 ? n - done : 64;
        __mmask64 present = _bzhi_u64(~0ull, (unsigned)size);
        __m512i text = _mm512_maskz_loadu_epi8(present, in + done);
        __m512i six = _mm512_permutex2var_epi8(low, text, high);
        if (_mm512_mask_test_epi8_mask(present, _mm512_or_si512(six, text),
                                       _mm512_set1_epi8((char)0x80)))
            break;
        __m512i twelve = _mm512_maddubs_epi16(six, _mm512_set1_epi16(0x0140)); /* a * 64 + b */
        __m512i bits = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
        __m512i bytes = _mm512_permutexvar_epi8(pack, bits);
        if (size == 64) { /* cheaper than a mask */
            _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(bytes));
            _mm_storeu_si128((__m128i *)(out + 32), _mm512_extracti32x4_epi32(bytes, 2));
        } else {
            _mm512_mask_storeu_epi8(out, _bzhi_u64(~0ull, (unsigned)(size / 4 * 3)), bytes);
        }
        done += size;
        out += size / 4 * 3;
    }
    return done;
}
#endif
