/* Base64 with AVX2: 24 bytes and 32 characters at a time, plain C for the rest. */
#include "base64.h"

#if FT_X86
#include <immintrin.h>

#define AVX2 FT_TARGET("avx2")

AVX2 static inline __m256i both(__m128i half) { return _mm256_broadcastsi128_si256(half); }

AVX2 void ft_base64_encode_avx2(const uint8_t *in, size_t n, char *out) {
    /* Bytes a b c become b a c b: the first 16-bit half holds digits one and two, the second
     * three and four. */
    const __m256i spread =
        both(_mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1));
    /* What to add to a digit, by class: 0 'a'-'z', 1 to 10 '0'-'9', 11 '+', 12 '/', 13 'A'-'Z'. */
    const __m256i offsets = both(_mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                               '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                               '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0));
    while (n >= 28) { /* two loads of 16 bytes, 12 apart */
        __m128i first = _mm_loadu_si128((const __m128i *)in);
        __m128i second = _mm_loadu_si128((const __m128i *)(in + 12));
        __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
        bytes = _mm256_shuffle_epi8(bytes, spread);
        __m256i odd = _mm256_mulhi_epu16(_mm256_and_si256(bytes, _mm256_set1_epi32(0x0fc0fc00)),
                                         _mm256_set1_epi32(0x04000040)); /* shift right 6, 10 */
        __m256i even = _mm256_mullo_epi16(_mm256_and_si256(bytes, _mm256_set1_epi32(0x003f03f0)),
                                          _mm256_set1_epi32(0x01000010)); /* shift left 8, 4 */
        __m256i six = _mm256_or_si256(odd, even);
        __m256i class = _mm256_subs_epu8(six, _mm256_set1_epi8(51));
        __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), six);
        class = _mm256_or_si256(class, _mm256_and_si256(upper, _mm256_set1_epi8(13)));
        __m256i text = _mm256_add_epi8(six, _mm256_shuffle_epi8(offsets, class));
        _mm256_storeu_si256((__m256i *)out, text);
        n -= 24;
        in += 24;
        out += 32;
    }
    ft_base64_encode_portable(in, n, out);
}

AVX2 size_t ft_base64_decode_avx2(const char *in, size_t n, uint8_t *out) {
    /* A character is outside the alphabet if the faults of its two halves meet:
     *   1 in 0x2_ all but '+' and '/'     2 in 0x3_ above '9'    4 in 0x4_, 0x6_ the first
     *   8 in 0x5_, 0x7_ above 'Z', 'z'   16 everything else */
    const __m256i low_faults = both(_mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                                  0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a));
    const __m256i high_faults = both(_mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08,
                                                   0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10));
    /* What to add to a character, by its high half; '/' borrows the place of 0x1_. */
    const __m256i offsets = both(_mm_setr_epi8(0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A',
                                               26 - 'a', 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i pack =
        both(_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    size_t done = 0;
    while (n - done >= 40) { /* room for two stores of 16 bytes, 12 apart */
        __m256i text = _mm256_loadu_si256((const __m256i *)(in + done));
        __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), nibble);
        __m256i low = _mm256_and_si256(text, nibble);
        if (!_mm256_testz_si256(_mm256_shuffle_epi8(low_faults, low),
                                _mm256_shuffle_epi8(high_faults, high)))
            break;
        __m256i slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('/'));
        __m256i offset = _mm256_shuffle_epi8(offsets, _mm256_add_epi8(high, slash));
        __m256i six = _mm256_add_epi8(text, offset);
        __m256i twelve = _mm256_maddubs_epi16(six, _mm256_set1_epi16(0x0140)); /* a * 64 + b */
        __m256i bits = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
        __m256i bytes = _mm256_shuffle_epi8(bits, pack);
        _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(out + 12), _mm256_extracti128_si256(bytes, 1));
        done += 32;
        out += 24;
    }
    return done + ft_base64_decode_portable(in + done, n - done, out);
}
#endif
