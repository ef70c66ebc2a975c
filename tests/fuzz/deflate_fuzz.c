/* libFuzzer: the DEFLATE encoder against the system's zlib.
 *
 *     clang -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *         deflate_fuzz.c -lz -o deflate_fuzz
 *     ./deflate_fuzz -max_len=4097 -max_total_time=60
 *
 * Every input is one payload; the same payload, and pieces of it, also go through ft_zlib_many
 * in every way that the machine has, and the bound is checked against the exact size. */
#include "../../src/fasttoken/_native/kernels/deflate.c"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECES = 24 };

static void demand(int truth, const char *what)
{
    if (truth) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ft_deflate_work work;
    static z_stream reference;
    static int ready;
    if (!ready) {
        ft_deflate_work_init(&work);
        demand(deflateInit(&reference, 6) == Z_OK, "deflateInit");
        ready = 1;
    }
    uint8_t *out[PIECES];
    uint8_t *want[PIECES];
    const uint8_t *in[PIECES];
    size_t n[PIECES], got_n[PIECES], want_n[PIECES];
    uint8_t one_byte;
    if (size > FT_DEFLATE_MAX) {
        demand(ft_zlib(data, size, &one_byte, &work) == 0, "too long a payload");
        return 0;
    }
    for (size_t i = 0; i < PIECES; i++) {
        size_t from = i * (size / (2 * PIECES)); /* 0 first: the whole */
        in[i] = data + from;
        n[i] = size - from - (i % 3 && size - from > i ? i : 0);
        out[i] = malloc(ft_zlib_bound(n[i]));
        want[i] = malloc(n[i] + 64);
        deflateReset(&reference);
        reference.next_in = (Bytef *)in[i];
        reference.avail_in = (uInt)n[i];
        reference.next_out = want[i];
        reference.avail_out = (uInt)n[i] + 64;
        demand(deflate(&reference, Z_FINISH) == Z_STREAM_END, "zlib");
        want_n[i] = reference.total_out;
        demand(ft_zlib(in[i], n[i], out[i], &work) == want_n[i], "length of ft_zlib");
        demand(!memcmp(out[i], want[i], want_n[i]), "bytes of ft_zlib");

        ft_deflate_counts few;
        if (count_few_symbols(n[i], &work, &few)) {
            symbol_counts counts;
            dynamic_code dynamic;
            count_symbols(n[i], &work, &counts);
            build_dynamic(&counts, &dynamic);
            used_symbols used;
            find_used(&few, &used);
            demand(entropy_bits_below(&few, &used, &work) <= dynamic.bits, "entropy");
            demand(tree_bits_below(&few, &used, &work) <= dynamic.bits, "bound");
        }
    }
    for (int k = 0; k < WAYS; k++) {
        if (!ft_deflate_select(ways[k].name)) continue;
        ft_zlib_many(in, n, out, got_n, PIECES, &work);
        for (size_t i = 0; i < PIECES; i++) {
            demand(got_n[i] == want_n[i], "length of ft_zlib_many");
            demand(!memcmp(out[i], want[i], want_n[i]), "bytes of ft_zlib_many");
        }
    }
    for (size_t i = 0; i < PIECES; i++) free(out[i]), free(want[i]);
    return 0;
}
