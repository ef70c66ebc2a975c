/* libFuzzer: the first byte chooses a path. The rest as text must decode as on the portable
 * path, and what decodes must encode to the same text again; the rest as bytes must survive
 * the way there and back.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc/fasttoken/_native/kernels \
 *       tests/fuzz/base64_fuzz.c <all the kernels>
 */
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "cpu.h"

static void *exactly(const void *bytes, size_t n) {
    void *copy = malloc(n ? n : 1);
    if (!copy) abort();
    if (n) memcpy(copy, bytes, n);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const *paths;
    static size_t path_count;
    if (!paths)
        for (paths = ft_cpu_paths(); paths[path_count];) path_count++;
    if (n == 0) return 0;
    const char *path = paths[data[0] % path_count];
    data++;
    n--;

    char *text = exactly(data, n);
    size_t room = n / 4 * 3;
    uint8_t *out = malloc(room + !room), *right = malloc(room + !room);
    if (!out || !right) abort();
    if (!ft_cpu_select("portable")) abort();
    ptrdiff_t expected = ft_base64_decode(text, n, right);
    if (!ft_cpu_select(path)) abort();
    ptrdiff_t size = ft_base64_decode(text, n, out);
    if (size != expected || size > (ptrdiff_t)room || size < -1 - (ptrdiff_t)n) abort();
    if (size >= 0) {
        if (ft_base64_size((size_t)size) != n || memcmp(out, right, (size_t)size)) abort();
        char *again = malloc(n + !n);
        ft_base64_encode(out, (size_t)size, again);
        if (memcmp(again, text, n)) abort();
        free(again);
    }
    free(text);
    free(out);
    free(right);

    uint8_t *bytes = exactly(data, n);
    size_t text_size = ft_base64_size(n);
    text = malloc(text_size + !text_size);
    out = malloc(text_size / 4 * 3 + 1);
    ft_base64_encode(bytes, n, text);
    if (ft_base64_decode(text, text_size, out) != (ptrdiff_t)n || (n && memcmp(out, bytes, n)))
        abort();
    free(bytes);
    free(text);
    free(out);
    return 0;
}
