/* The DEFLATE encoder against the system's zlib.
 *
 *     cc -std=c11 -O2 deflate_test.c -lz -o deflate_test
 *     ./deflate_test [payloads per class, default 3000] [seed]
 *
 * The default takes seconds; 1000000 payloads per class are the long run.  Every payload goes
 * through ft_zlib, through ft_zlib_many in every way that the machine has, and through the two
 * that decide without writing: the bound must not exceed the exact size of the dynamic block, the
 * lanes must equal it.  Only this test needs zlib.  The encoder's source is included, so that its
 * inner functions can be tested as well. */
#include "../../src/fasttoken/_native/kernels/deflate.c"

#include <stdlib.h>
#include <zlib.h>

#include "deflate_payloads.h"

static z_stream reference;
static ft_deflate_work work;
static unsigned long compared, stored_blocks, fixed_blocks, dynamic_blocks;
static unsigned long modelled, bounded, decided, entropies, entropy_decided;
static unsigned long long slack; /* sum of true size - bound */

static size_t zlib_stream(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
    deflateReset(&reference);
    reference.next_in = (Bytef *)in;
    reference.avail_in = (uInt)n;
    reference.next_out = out;
    reference.avail_out = (uInt)room;
    if (deflate(&reference, Z_FINISH) != Z_STREAM_END) abort();
    return room - reference.avail_out;
}

static void fail(const char *what, const uint8_t *in, size_t n)
{
    fprintf(stderr, "FAILED: %s, payload of %zu bytes:\n", what, n);
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%02x", in[i]);
    fputc('\n', stderr);
    exit(1);
}

/* Both bounds against the size that the exact trees give; the work area holds the parse. */
static void compare_bound(const uint8_t *in, size_t n, unsigned fixed_bits)
{
    symbol_counts counts;
    ft_deflate_counts few;
    dynamic_code dynamic;
    used_symbols used;
    if (!count_few_symbols(n, &work, &few)) return;
    find_used(&few, &used);
    if (work.model) {
        ft_deflate_counts again;
        work.model = NULL;
        if (!count_few_symbols(n, &work, &again) || memcmp(&again, &few, sizeof few))
            fail("the counts of a model differ", in, n);
        modelled++;
    }
    count_symbols(n, &work, &counts);
    build_dynamic(&counts, &dynamic);
    unsigned entropy = entropy_bits_below(&few, &used, &work);
    if (entropy > dynamic.bits) {
        fprintf(stderr, "entropy %u, dynamic block %u bits\n", entropy, dynamic.bits);
        fail("entropy above the dynamic block", in, n);
    }
    entropies++;
    entropy_decided += (entropy + 10) / 8 >= (fixed_bits + 7) / 8;
    unsigned bound = tree_bits_below(&few, &used, &work);
    if (bound == 0) return;
    if (bound > dynamic.bits) {
        fprintf(stderr, "bound %u, dynamic block %u bits\n", bound, dynamic.bits);
        fail("bound above the dynamic block", in, n);
    }
    bounded++;
    slack += dynamic.bits - bound;
    decided += (bound + 10) / 8 >= (fixed_bits + 7) / 8;
}

/* The lanes against the same size: every present way, value by value. */
static ft_deflate_work lane_work;
static int lane_want[FT_DEFLATE_GROUPS][FT_DEFLATE_LANES];
static unsigned long lane_values, lane_passed;

static void compare_lanes(const uint8_t *in, size_t n)
{
    symbol_counts counts;
    ft_deflate_counts few;
    dynamic_code dynamic;
    used_symbols used;
    if (!count_few_symbols(n, &work, &few)) return;
    find_used(&few, &used);
    ft_deflate_lanes *lanes = fill_lane(lane_work.lanes, &few, &used);
    if (!lanes) return;
    count_symbols(n, &work, &counts);
    build_dynamic(&counts, &dynamic);
    int *want = lane_want[lanes - lane_work.lanes];
    want[lanes->filled] = (int)dynamic.bits - lanes->other_bits[lanes->filled];
    if (++lanes->filled < 13) return; /* some lanes stay empty */
    for (int k = 0; k < WAYS; k++) {
        const ft_deflate_way *way = ways[k].way;
        if (!present(way)) continue;
        for (unsigned lane = lanes->filled; lane < way->lanes; lane++)
            lanes->literal_used[lane] = lanes->distance_used[lane] = 0;
        memset(lanes->bits, 0, sizeof lanes->bits);
        way->dynamic_sizes(lanes, &lane_work.heaps);
        for (unsigned lane = 0; lane < lanes->filled; lane++) {
            int got = lanes->bits[lane];
            lane_values++;
            if (got < 0) {
                lane_passed++;
            } else if (got != want[lane]) {
                fprintf(stderr, "%s: lane %u: %d bits, not %d\n", ways[k].name, lane, got,
                        want[lane]);
                fail("a lane differs from the exact trees (the last payload was)", in, n);
            }
        }
    }
    lanes->filled = 0;
}

static void enter_batch(const uint8_t *in, size_t n, const uint8_t *want, size_t want_n);

static void compare(const uint8_t *in, size_t n)
{
    uint8_t want[PAYLOAD_MAX + 100], got[PAYLOAD_MAX + PAYLOAD_MAX / 8 + 32];
    size_t want_n = zlib_stream(in, n, want, sizeof want);
    size_t room = ft_zlib_bound(n);
    memset(got, 0xa5, sizeof got);
    /* exactly as much memory as promised, so that a sanitizer sees any byte beyond it */
    uint8_t *exact_in = malloc(n ? n : 1), *exact_out = malloc(room);
    memcpy(exact_in, in, n);
    size_t got_n = ft_zlib(exact_in, n, exact_out, &work);
    if (got_n > room) fail("bound", in, n);
    if (got_n != want_n || memcmp(exact_out, want, want_n)) fail("bytes differ from zlib", in, n);
    bit_writer fixed = {got, 0, 0};
    put_fixed(&fixed, n, &work);
    compare_lanes(in, n);
    compare_bound(in, n, (unsigned)(8 * (fixed.out - got)) + fixed.count);
    free(exact_in);
    free(exact_out);
    enter_batch(in, n, want, want_n);
    compared++;
    unsigned type = want[2] >> 1 & 3;
    *(type == 0 ? &stored_blocks : type == 1 ? &fixed_blocks : &dynamic_blocks) += 1;
}

/* Batches: payloads wait here until there are enough, then all ways of ft_zlib_many must give
 * the streams that ft_zlib gives. */
enum { BATCH = 150 };
static struct {
    uint8_t in[PAYLOAD_MAX];
    size_t n, want_n;
    uint8_t want[PAYLOAD_MAX + PAYLOAD_MAX / 8 + 32], got[PAYLOAD_MAX + PAYLOAD_MAX / 8 + 32];
} batch[BATCH];
static size_t waiting;

static void compare_batch(void)
{
    const uint8_t *in[BATCH];
    uint8_t *out[BATCH];
    size_t n[BATCH], got_n[BATCH];
    for (size_t i = 0; i < waiting; i++) {
        in[i] = batch[i].in;
        n[i] = batch[i].n;
        out[i] = batch[i].got;
    }
    for (int way = 0; way < WAYS; way++) {
        if (!ft_deflate_select(ways[way].name)) continue;
        for (size_t i = 0; i < waiting; i++) memset(out[i], 0xa5, 16);
        ft_zlib_many(in, n, out, got_n, waiting, &work);
        for (size_t i = 0; i < waiting; i++)
            if (got_n[i] != batch[i].want_n || memcmp(out[i], batch[i].want, got_n[i]))
                fail(ways[way].name, in[i], n[i]);
        for (size_t i = 0; i < waiting; i++) {
            memset(out[i], 0xa5, 16);
            if (ft_zlib(in[i], n[i], out[i], &work) != batch[i].want_n ||
                memcmp(out[i], batch[i].want, batch[i].want_n))
                fail(ways[way].name, in[i], n[i]);
        }
    }
    waiting = 0;
}

static void enter_batch(const uint8_t *in, size_t n, const uint8_t *want, size_t want_n)
{
    memcpy(batch[waiting].in, in, n);
    batch[waiting].n = n;
    memcpy(batch[waiting].want, want, want_n);
    batch[waiting].want_n = want_n;
    waiting++;
    if (waiting == BATCH) compare_batch();
}

/* build_tree with frequencies that no payload gives, so that its length limits act: the code must
 * be complete and keep the limit. */
static void check_tree(rng *r)
{
    uint16_t frequency[LITERAL_CODES] = {0};
    huffman_tree tree;
    unsigned used = 2 + below(r, 30), total = 0;
    uint32_t a = 1, b = 1;
    for (unsigned s = 0; s < used && total + a < 30000; s++) {
        frequency[below(r, 2) ? s : 285 - s] = (uint16_t)a; /* Fibonacci: the deepest */
        total += a;
        uint32_t next = below(r, 8) ? a + b : a;
        a = b, b = next;
    }
    unsigned max_length = below(r, 2) ? 15 : 7, kraft = 0, longest = 0;
    unsigned symbols = max_length == 7 ? BIT_LENGTH_CODES : LITERAL_CODES;
    build_tree(frequency, symbols, max_length, &tree);
    for (unsigned s = 0; s < symbols; s++) {
        unsigned l = tree.length[s];
        if (l > longest) longest = l;
        if (l) kraft += 1u << (15 - l);
    }
    if (longest > max_length || kraft != 1u << 15) fail("tree", NULL, 0);
}

static void check_logarithms(void)
{
    for (unsigned n = 1; n < FT_DEFLATE_LOGS; n++) {
        double exact = 0, x = n, unit = 1;
        for (; x >= 2; x /= 2) exact += 1;
        for (int k = 0; k < 40; k++) {
            x *= x, unit /= 2;
            if (x >= 2) x /= 2, exact += unit;
        }
        double scaled = 256 * n * exact, tiny = 1e-6;
        if (work.n_log_n[n] > scaled + tiny || work.n_log_n[n] + LOG_SLACK < scaled - tiny ||
            work.log_above[n] < 256 * exact - tiny || work.log_above[n] > 256 * exact + 1.01)
            fail("logarithms", NULL, 0);
    }
}

static void report(const char *name)
{
    printf("%-28s %9lu payloads: %lu stored, %lu fixed, %lu dynamic\n", name, compared,
           stored_blocks, fixed_blocks, dynamic_blocks);
    printf("%-28s by a model %lu\n", "", modelled);
    printf("%-28s entropy in %lu, proves %.2f %%\n", "", entropies,
           100.0 * (double)entropy_decided / (double)compared);
    printf("%-28s bound in %lu, on average %.1f bits below, proves %.2f %%\n", "", bounded,
           bounded ? (double)slack / (double)bounded : 0.0,
           100.0 * (double)decided / (double)compared);
    compared = stored_blocks = fixed_blocks = dynamic_blocks = 0;
    modelled = bounded = decided = entropies = entropy_decided = 0;
    slack = 0;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000;
    rng r = {argc > 2 ? strtoull(argv[2], NULL, 10) : 1};
    uint8_t in[PAYLOAD_MAX];
    char name[40];

    if (deflateInit(&reference, 6) != Z_OK) abort();
    ft_deflate_work_init(&work);
    ft_deflate_work_init(&lane_work);
    check_logarithms();
    for (int k = 0; k < 2000; k++) check_tree(&r);

    for (size_t n = 0; n <= PAYLOAD_MAX; n++) {
        adversarial_payload(&r, 3, in, n), compare(in, n);
        adversarial_payload(&r, (unsigned)n % ADVERSARIAL_KINDS, in, n), compare(in, n);
    }
    report("every length");
    if (ft_zlib(in, PAYLOAD_MAX + 1, in, &work) != 0) fail("too long a payload", in, 0);

    for (unsigned mix = 0; mix < TOKEN_MIXES; mix++) {
        project p = random_project(&r);
        for (unsigned long k = 0; k < rounds; k++) {
            if (k % 8 == 0) p = random_project(&r);
            compare(in, token_payload(&r, &p, mix, in));
        }
        snprintf(name, sizeof name, "tokens, mix %u", mix);
        report(name);
    }
    for (unsigned kind = 0; kind < ADVERSARIAL_KINDS; kind++) {
        for (unsigned long k = 0; k < rounds / 4; k++) {
            size_t n = random_length(&r);
            adversarial_payload(&r, kind, in, n);
            compare(in, n);
        }
        snprintf(name, sizeof name, "adversarial, kind %u", kind);
        report(name);
    }
    for (unsigned long k = 0; k < rounds / 8; k++) {
        static family families[3];
        family *f = &families[below(&r, 3)];
        if (f->n == 0 || below(&r, 4) == 0) random_family(&r, f);
        for (int payloads = 0; payloads < 50; payloads++)
            compare(in, family_payload(&r, below(&r, 9) || !families[0].n ? f : families, in));
    }
    if (modelled < rounds / 2) fail("models are hardly used", in, 0);
    report("families");
    compare_batch();
    compare_batch(); /* none at all */
    deflateEnd(&reference);
    for (int way = 0; way < WAYS; way++)
        if (present(ways[way].way)) printf("compared: %s\n", ways[way].name);
    printf("lanes: %lu sizes equal, %lu left to the exact trees\n", lane_values - lane_passed,
           lane_passed);
    if (lane_passed * 20 > lane_values) fail("the lanes leave too much", in, 0);
    /* the names */
    if (!ft_deflate_select("portable") || ft_deflate_select("") || ft_deflate_select("AVX2"))
        fail("ft_deflate_select", in, 0);
    puts("ok");
    return 0;
}
