#include "base64.h"

#include <string.h>

#include "crc32.h"

const char ft_base64_alphabet[64] = {
    'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P',
    'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f',
    'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v',
    'w', 'x', 'y', 'z', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '/'};

#define NO 0x80
#define V(c)                                                                                      \
    (uint8_t)((c) >= 'A' && (c) <= 'Z'   ? (c) - 'A'                                              \
              : (c) >= 'a' && (c) <= 'z' ? (c) - 'a' + 26                                         \
              : (c) >= '0' && (c) <= '9' ? (c) - '0' + 52                                         \
              : (c) == '+'               ? 62                                                     \
              : (c) == '/'               ? 63                                                     \
                                         : NO)
#define V4(c) V(c), V(c + 1), V(c + 2), V(c + 3)
#define V16(c) V4(c), V4(c + 4), V4(c + 8), V4(c + 12)
#define V64(c) V16(c), V16(c + 16), V16(c + 32), V16(c + 48)
const uint8_t ft_base64_values[256] = {V64(0), V64(64), V64(128), V64(192)};

#define alphabet ft_base64_alphabet
#define values ft_base64_values

size_t ft_base64_size(size_t n) { return n / 3 * 4 + (n % 3 ? 4 : 0); }

void ft_base64_encode_portable(const uint8_t *in, size_t n, char *out) {
    for (; n >= 3; n -= 3, in += 3, out += 4) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = alphabet[bits >> 6 & 63];
        out[3] = alphabet[bits & 63];
    }
    if (n) {
        uint32_t bits = (uint32_t)in[0] << 16 | (n == 2 ? (uint32_t)in[1] << 8 : 0);
        out[0] = alphabet[bits >> 18];
        out[1] = alphabet[bits >> 12 & 63];
        out[2] = n == 2 ? alphabet[bits >> 6 & 63] : '=';
        out[3] = '=';
    }
}

size_t ft_base64_decode_portable(const char *in, size_t n, uint8_t *out) {
    size_t done = 0;
    for (; n - done >= 4; done += 4, out += 3) {
        uint32_t a = values[(uint8_t)in[done]], b = values[(uint8_t)in[done + 1]];
        uint32_t c = values[(uint8_t)in[done + 2]], d = values[(uint8_t)in[done + 3]];
        if ((a | b | c | d) & NO) break;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    return done;
}

/* The last group, which may be padded: bytes written, or -1 - position of what is wrong. */
static ptrdiff_t decode_last(const char in[4], uint8_t *out) {
    size_t digits = in[3] != '=' ? 4 : in[2] != '=' ? 3 : 2;
    uint8_t v[4] = {0};
    for (size_t i = 0; i < digits; i++)
        if ((v[i] = values[(uint8_t)in[i]]) & NO) return -1 - (ptrdiff_t)i;
    if (digits == 2 && v[1] & 15) return -1 - 1;
    if (digits == 3 && v[2] & 3) return -1 - 2;
    out[0] = (uint8_t)(v[0] << 2 | v[1] >> 4);
    if (digits > 2) out[1] = (uint8_t)(v[1] << 4 | v[2] >> 2);
    if (digits > 3) out[2] = (uint8_t)(v[2] << 6 | v[3]);
    return (ptrdiff_t)digits - 1;
}

static ptrdiff_t decode(const ft_cpu_path *path, const char *in, size_t n, uint8_t *out) {
    if (n == 0) return 0;
    size_t whole = n % 4 ? n - n % 4 : n - 4;
    size_t done = path->base64_decode(in, whole, out);
    out += done / 4 * 3;
    if (done < whole) { /* a fast path may stop before the group at fault */
        size_t more = ft_base64_decode_portable(in + done, whole - done, out);
        out += more / 4 * 3;
        done += more;
    }
    if (done == whole && n % 4 == 0) {
        ptrdiff_t last = decode_last(in + done, out);
        return last < 0 ? last - (ptrdiff_t)done : (ptrdiff_t)(done / 4 * 3) + last;
    }
    while (done < n && !(values[(uint8_t)in[done]] & NO)) done++;
    return -1 - (ptrdiff_t)done;
}

void ft_base64_encode(const uint8_t *in, size_t n, char *out) {
    ft_cpu_current()->base64_encode(in, n, out);
}

ptrdiff_t ft_base64_decode(const char *in, size_t n, uint8_t *out) {
    return decode(ft_cpu_current(), in, n, out);
}

/* Every length up to 200, whose texts' CRC is known, there and back; then each character that
 * is not in the alphabet must be found where it is. */
int ft_base64_self_test(const ft_cpu_path *path) {
    uint8_t bytes[200], back[204];
    char text[272];
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t size = ft_base64_size(n);
        path->base64_encode(bytes, n, text);
        crc = ft_crc32_portable(crc, (const uint8_t *)text, size);
        if (decode(path, text, size, back) != (ptrdiff_t)n || memcmp(back, bytes, n)) return 0;
    }
    if (crc != 0xfe8c52ef) return 0;
    for (int c = 0; c < 256; c++) {
        size_t at = (size_t)c * 5 % 264;
        char good = text[at];
        text[at] = (char)c;
        ptrdiff_t result = decode(path, text, 264, back);
        text[at] = good;
        if (values[c] & NO ? result != -1 - (ptrdiff_t)at : result != 198) return 0;
    }
    return 1;
}
