/* libFuzzer: the first byte gives the capacity, the rest is a stream. zlib must accept the same
 * streams, with the same bytes and the same end.
 *
 * A second pass repairs the header, and the checksum where there is room for one, so that
 * damage inside the blocks is reached.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc/fasttoken/_native/kernels \
 *       tests/fuzz/inflate_fuzz.c <all the kernels> -lz
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "inflate.h"

static uint8_t theirs[255 * 16];

static void compare(const uint8_t *in, size_t n, size_t capacity) {
    uint8_t *ours = malloc(capacity + !capacity);
    size_t consumed = 0;
    z_stream z = {0};
    if (!ours || inflateInit(&z) != Z_OK) abort();
    z.next_in = (uint8_t *)in;
    z.avail_in = (uInt)n;
    z.next_out = theirs;
    z.avail_out = (uInt)capacity;
    int result = inflate(&z, Z_FINISH);
    ptrdiff_t size = ft_inflate_zlib(in, n, ours, capacity, &consumed);
    if (result == Z_STREAM_END) {
        if (size != (ptrdiff_t)z.total_out || consumed != z.total_in) abort();
        if (memcmp(ours, theirs, (size_t)size)) abort();
    } else if (size >= 0) {
        abort();
    }
    inflateEnd(&z);
    free(ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n == 0) return 0;
    size_t capacity = data[0] * 16u;
    n--;
    uint8_t *stream = malloc(n + !n);
    if (!stream) abort();
    if (n) memcpy(stream, data + 1, n);
    compare(stream, n, capacity);
    if (n >= 2) {
        z_stream z = {0};
        stream[0] = 0x78;
        stream[1] = 0x9c;
        if (inflateInit2(&z, -15) != Z_OK) abort();
        z.next_in = stream + 2;
        z.avail_in = (uInt)(n - 2);
        z.next_out = theirs;
        z.avail_out = (uInt)capacity;
        if (inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in >= 4) {
            uint32_t check = (uint32_t)adler32(1, theirs, (uInt)z.total_out);
            uint8_t *end = stream + 2 + z.total_in;
            for (int i = 0; i < 4; i++) end[i] = (uint8_t)(check >> (24 - 8 * i));
        }
        inflateEnd(&z);
        compare(stream, n, capacity);
    }
    free(stream);
    return 0;
}
