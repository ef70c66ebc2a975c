/* Base64 (RFC 4648, section 4): the standard alphabet, padded. */
#ifndef FT_BASE64_H
#define FT_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

/* Characters that encode n bytes; the bytes that m characters can give are at most m / 4 * 3. */
size_t ft_base64_size(size_t n);

/* Writes ft_base64_size(n) characters, no terminator. */
void ft_base64_encode(const uint8_t *in, size_t n, char *out);

/* Decodes strictly and returns the number of bytes. The length must be a multiple of four, the
 * last one or two characters may be '=', the bits they leave over must be zero. Otherwise the
 * result is -1 - p, and bytes of `out` may have been written: p is the first character that
 * is not in the alphabet ('=' before its place included), or the last character before the
 * padding when its spare bits are not zero, or n when the text ends too early.
 * `out` needs room for n / 4 * 3 bytes. */
ptrdiff_t ft_base64_decode(const char *in, size_t n, uint8_t *out);

/* Known answers on one path: 1 good, 0 wrong. */
int ft_base64_self_test(const ft_cpu_path *path);

/* --- for the paths --- */

extern const char ft_base64_alphabet[64];
extern const uint8_t ft_base64_values[256]; /* 0x80 for characters outside the alphabet */

/* One pair of functions for each path, see ft_cpu_path. */
void ft_base64_encode_portable(const uint8_t *in, size_t n, char *out);
size_t ft_base64_decode_portable(const char *in, size_t n, uint8_t *out);
void ft_base64_encode_avx2(const uint8_t *in, size_t n, char *out);
size_t ft_base64_decode_avx2(const char *in, size_t n, uint8_t *out);
void ft_base64_encode_vbmi(const uint8_t *in, size_t n, char *out);
size_t ft_base64_decode_vbmi(const char *in, size_t n, uint8_t *out);
void ft_base64_encode_neon(const uint8_t *in, size_t n, char *out);
size_t ft_base64_decode_neon(const char *in, size_t n, uint8_t *out);

#endif
