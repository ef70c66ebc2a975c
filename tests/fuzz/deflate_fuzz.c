/* libFuzzer: the DEFLATE encoder against the system's zlib.
 *
 *     clang -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *         deflate_fuzz.c -lz -o deflate_fuzz
 *     ./deflate_fuzz -max_len=4097 -max_total_time=60
 *
 * Every input is one payload; the same payload, and pieces of it, also go through ft_zlib_many
 * in every way that the machine has, and the bounds are checked against the exact size. Then two
 * thirds of it are a payload, of which the last third changes some bytes again and again. */
#include "../../src/fasttoken/_native/kernels/deflate.c"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECES = 24, CHANGES = 12 };

static void demand(int truth, const char *what)
{
    if (truth) return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static ft_deflate_work work;
static z_stream reference;

/* Payloads that differ in the bytes whose place the changes say: byte, value, byte, value ... */
static void family(const uint8_t *base, size_t n, const uint8_t *changes, size_t changes_n)
{
    uint8_t in[FT_DEFLATE_MODEL_MAX], want[FT_DEFLATE_MODEL_MAX + 64];
    uint8_t out[2 * FT_DEFLATE_MODEL_MAX];
    if (n < 1 || n > sizeof in) return;
    memset(work.models, 0, sizeof work.models); /* the same input does the same again */
    memcpy(in, base, n);
    for (size_t i = 0; i < CHANGES; i++) {
        for (size_t k = i % 2; k + 1 < changes_n; k += 2 + i % 3)
            in[changes[k] % n] = (uint8_t)(changes[k + 1] + (k % 4 ? 0 : i));
        deflateReset(&reference);
        reference.next_in = in;
        reference.avail_in = (uInt)n;
        reference.next_out = want;
        reference.avail_out = sizeof want;
        demand(deflate(&reference, Z_FINISH) == Z_STREAM_END, "zlib");
        demand(ft_zlib(in, n, out, &work) == reference.total_out, "length with a model");
        demand(!memcmp(out, want, reference.total_out), "bytes with a model");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
    size_t third = size / 3;
    family(data, size - third, data + size - third, third);
    return 0;
}
