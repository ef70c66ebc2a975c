/* The encoder for any machine, and the choice among what is compiled for one instruction set. */
#define DEFLATE_WAY ft_deflate_portable
#define LANE_BYTES 16
#define LANE_WHOLE(x)
#define BOUND_PERCENT 30
#include "deflate_encoder.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#define FT_DEFLATE_X86
extern const ft_deflate_way ft_deflate_sse4, ft_deflate_avx2, ft_deflate_avx512;
#endif

/* The better ones last. */
static const struct {
    const char *name;
    const ft_deflate_way *way;
} ways[] = {
    {"portable", &ft_deflate_portable},
#ifdef FT_DEFLATE_X86
    {"sse4", &ft_deflate_sse4},
    {"avx2", &ft_deflate_avx2},
    {"avx512", &ft_deflate_avx512},
#elif defined(__aarch64__)
    {"neon", &ft_deflate_portable}, /* vectors of 16 bytes are NEON there */
#endif
};

enum { WAYS = sizeof ways / sizeof *ways };

static int present(const ft_deflate_way *way)
{
#ifdef FT_DEFLATE_X86
    __builtin_cpu_init();
    if (way == &ft_deflate_sse4)
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (way == &ft_deflate_avx2) return avx2;
    if (way == &ft_deflate_avx512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl");
#endif
    (void)way;
    return 1;
}

static _Atomic(const ft_deflate_way *) chosen;

const ft_deflate_way *ft_deflate_find(const char *name)
{
    for (int k = 0; k < WAYS; k++)
        if (!strcmp(name, ways[k].name) && present(ways[k].way)) return ways[k].way;
    return NULL;
}

int ft_deflate_select(const char *name)
{
    const ft_deflate_way *way = ft_deflate_find(name);
    if (way) chosen = way;
    return way != NULL;
}

static const ft_deflate_way *current(void)
{
    const ft_deflate_way *way = chosen;
    if (way) return way;
    int best = WAYS - 1;
    while (!present(ways[best].way)) best--;
    chosen = way = ways[best].way;
    return way;
}

size_t ft_zlib(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w)
{
    return current()->zlib(in, n, out, w);
}

void ft_zlib_many(const uint8_t *const *in, const size_t *n, uint8_t *const *out, size_t *out_n,
                  size_t count, ft_deflate_work *w)
{
    current()->zlib_many(in, n, out, out_n, count, w);
}

/* The block is written with fixed codes first: at most 9 bits a byte (a match takes at most 22
 * bits for 3 bytes and 28 for longer ones) and 10 bits; nothing larger takes its place but a
 * stored block, n + 5 bytes.  Header and trailer are 6 bytes, and a store is 8. */
size_t ft_zlib_bound(size_t n) { return n + n / 8 + 32; }

/* ------------------------------------------------------------------ the tables */

/* log2(n) in units of 2^-24: at most 2 units below the true value, never above. */
static uint32_t log2_below(uint32_t n)
{
    unsigned whole = log2_floor(n);
    uint64_t x = (uint64_t)n << (31 - whole); /* 1 <= x / 2^31 < 2 */
    uint32_t log = whole;
    for (int bit = 0; bit < 24; bit++) {
        x = x * x >> 31;
        log = log << 1 | (uint32_t)(x >> 32);
        x >>= x >> 32;
    }
    return log;
}

static void init_logs(ft_deflate_work *w)
{
    for (uint32_t n = 1; n < FT_DEFLATE_LOGS; n++) {
        uint64_t log = log2_below(n);
        w->n_log_n[n] = (uint32_t)(n * log >> 16);
        w->log_above[n] = (uint16_t)((log + 2 + 0xffff) >> 16);
    }
    w->log_step[1] = (uint16_t)(w->n_log_n[2] + LOG_SLACK); /* those of 0 and 1 are 0 exactly */
    for (uint32_t n = 2; n < 256; n++)
        w->log_step[n] = (uint16_t)(w->n_log_n[n + 1] - w->n_log_n[n]);
}

void ft_deflate_work_init(ft_deflate_work *w)
{
    uint8_t length[288];
    memset(w, 0, sizeof *w);
    for (unsigned s = 0; s < 288; s++) length[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
    assign_codes(length, 288, w->fixed_code);
    memset(length, 5, DISTANCE_CODES);
    assign_codes(length, DISTANCE_CODES, w->fixed_distance_code);
    init_logs(w);
}
