/* Base64 and CRC-32 on every path of this machine: Base64 against OpenSSL's encoder and, for
 * what must be refused, against a decoder written for clarity; CRC-32 against zlib.
 *
 * Compile with all the kernels, -lcrypto and -lz.
 */
#include <openssl/evp.h>
#include <string.h>
#include <zlib.h>

#include "base64.h"
#include "crc32.h"
#include "sign_check.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The contract of ft_base64_decode in the plainest words. */
static ptrdiff_t plain_decode(const char *in, size_t n, uint8_t *out) {
    size_t end = n, size = 0;
    uint32_t bits = 0;
    if (n && n % 4 == 0 && in[n - 1] == '=') end -= in[n - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < end; i++) {
        const char *at = in[i] ? strchr(alphabet, in[i]) : NULL;
        if (!at) return -1 - (ptrdiff_t)i;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        if (i % 4) out[size++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    if (n % 4) return -1 - (ptrdiff_t)n;
    if (end % 4 == 2 && bits & 15) return -1 - (ptrdiff_t)(end - 1);
    if (end % 4 == 3 && bits & 3) return -1 - (ptrdiff_t)(end - 1);
    return (ptrdiff_t)size;
}

/* Both decoders on a copy of exactly n characters into exactly n / 4 * 3 bytes. */
static void compare(const char *text, size_t n) {
    size_t room = n / 4 * 3;
    char *in = calloc(1, n ? n : 1);
    uint8_t *out = malloc(room ? room : 1), *right = malloc(n + 1);
    if (n) memcpy(in, text, n);
    ptrdiff_t result = ft_base64_decode(in, n, out), expected = plain_decode(in, n, right);
    CHECK(result == expected);
    if (expected > 0) CHECK(memcmp(out, right, (size_t)expected) == 0);
    free(in);
    free(out);
    free(right);
}

static void test_base64(void) {
    for (int round = 0; round < 4; round++)
        for (size_t n = 0; n <= 600; n++) {
            uint8_t *bytes = calloc(1, n ? n : 1), right[804];
            size_t size = ft_base64_size(n);
            char *text = malloc(size + 1);
            for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)draw();
            text[size] = '!';
            CHECK((size_t)EVP_EncodeBlock(right, bytes, (int)n) == size);
            ft_base64_encode(bytes, n, text);
            CHECK(memcmp(text, right, size) == 0 && text[size] == '!');
            compare(text, size);
            if (n >= 4) compare(text, size - draw() % 4);
            if (size) {
                text[draw() % size] = (char)draw();
                compare(text, size);
                text[draw() % size] = '=';
                compare(text, size);
            }
            free(bytes);
            free(text);
        }
}

/* Every character in every place of texts long enough for every kernel's main loop. */
static void test_every_character(void) {
    char text[200];
    for (size_t i = 0; i < sizeof text; i++) text[i] = alphabet[i % 64];
    for (size_t at = 0; at < sizeof text; at++)
        for (int c = 0; c < 256; c++) {
            char good = text[at];
            text[at] = (char)c;
            compare(text, sizeof text);
            text[at] = good;
        }
    for (size_t n = 0; n < 16; n++) /* every short text over a few characters */
        for (uint32_t code = 0; code < 4096; code++) {
            for (size_t i = 0; i < n; i++) text[i] = "A/=B"[code >> (2 * i % 12) & 3];
            compare(text, n);
        }
}

static void test_crc32(void) {
    for (size_t n = 0; n <= 1200; n++) {
        uint8_t *bytes = calloc(1, n ? n : 1);
        for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)draw();
        CHECK(ft_crc32(bytes, n) == crc32(0, n ? bytes : (const uint8_t *)"", (uInt)n));
        free(bytes);
    }
    CHECK(ft_crc32(NULL, 0) == 0);
}

int main(void) {
    for (const char *const *path = ft_cpu_paths(); *path; path++) {
        unsigned long before = checks;
        CHECK(ft_cpu_select(*path));
        test_base64();
        test_every_character();
        test_crc32();
        printf("%s: %lu checks\n", *path, checks - before);
    }
    return 0;
}
