/* DEFLATE for short payloads: the zlib stream (RFC 1950, RFC 1951) that stock zlib writes
 * at level 6, window 15, memory level 8, default strategy, in one call -- byte for byte.
 * Needs no zlib, allocates nothing.  How and why it is exact: docs/deflate.md. */
#ifndef FT_DEFLATE_H
#define FT_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest payload, in bytes. */
#define FT_DEFLATE_MAX 4096

/* Sizes inside the work area. */
#define FT_DEFLATE_SLOT_BITS 12
#define FT_DEFLATE_LOGS 1024

/* One back reference of the parse; all bytes outside of matches are literals. */
typedef struct {
    uint16_t at;       /* position of its first byte in the payload */
    uint16_t length;   /* 3..258 */
    uint16_t distance; /* 1..4095 */
    uint8_t length_code, distance_code; /* RFC 1951, 3.2.5: 0..28 and 0..29 */
} ft_deflate_match;

/* How often each symbol occurs, where a byte is enough. */
typedef struct {
    uint8_t literal[320]; /* 286 symbols, the rest 0 */
    uint8_t distance[32];
    unsigned extra_bits; /* of all lengths and distances */
    unsigned symbols, matches; /* sums of literal and of distance */
    uint32_t literal_logs, distance_logs; /* sums of n log n over them: see log_step */
} ft_deflate_counts;

/* Payloads side by side, one a column; see deflate_lanes.h. */
#define FT_DEFLATE_LANES 64
#define FT_DEFLATE_SLOTS 200 /* most symbols in use */
#define FT_DEFLATE_GROUPS 4  /* payloads with a like number of symbols wait for one another */

typedef struct {
    /* The used symbols of the trees, from row 1: frequency, plus 128 if the symbol is the one of
     * the row before plus 1. */
    uint8_t literal[1 + FT_DEFLATE_SLOTS][FT_DEFLATE_LANES], distance[1 + 32][FT_DEFLATE_LANES];
    uint8_t literal_used[FT_DEFLATE_LANES], distance_used[FT_DEFLATE_LANES];
    uint8_t count[19][FT_DEFLATE_LANES]; /* of the symbols of the bit-length code */
    int16_t bits[FT_DEFLATE_LANES];      /* the result */
    /* What the lanes are: index of the payload; bits of the block that are in no tree. */
    size_t payload[FT_DEFLATE_LANES];
    int other_bits[FT_DEFLATE_LANES];
    unsigned filled;
} ft_deflate_lanes;

typedef struct {
    int16_t key[FT_DEFLATE_SLOTS + 2][FT_DEFLATE_LANES]; /* row s: slot s of the heaps */
    uint8_t depth[FT_DEFLATE_SLOTS + 1][FT_DEFLATE_LANES];
    uint8_t landing[FT_DEFLATE_SLOTS / 2 + 2 * FT_DEFLATE_SLOTS][FT_DEFLATE_LANES];
} ft_deflate_heaps;

/* A payload whose like come again, and what is known of them: see deflate_model.h. */
#define FT_DEFLATE_MODELS 8      /* at a time, by length */
#define FT_DEFLATE_MODEL_MAX 512 /* bytes */
#define FT_DEFLATE_STEPS 64

/* Part of a fixed block: the bytes of the payload from..to, each as a literal; then bits that are
 * the same in all payloads, `units` of 56 and some more. */
typedef struct {
    uint16_t from, to;
    uint8_t units, last_bits;
} ft_deflate_step;

typedef struct {
    uint16_t n; /* bytes; 0: no payload yet */
    uint16_t windows; /* of three bytes: n - 2 */
    uint8_t ready, credit, failures, pause;
    uint16_t met;     /* a window that was not alone */
    uint16_t special; /* the window that a special model has constant */
    uint8_t payload[FT_DEFLATE_MODEL_MAX];
    uint8_t same[FT_DEFLATE_MODEL_MAX]; /* 0xff, or 0 for a byte that differs among payloads */
    /* Where the windows stand that hold a differing byte; a bit for each hash of the others. */
    uint16_t differing[FT_DEFLATE_MODEL_MAX], differing_count;
    uint64_t constant[(1 << 15) / 64], seen[(1 << 15) / 64]; /* equal between two calls */
    /* What the encoder found. */
    ft_deflate_match matches[FT_DEFLATE_MODEL_MAX / 3 + 1];
    uint16_t match_count, literal_count;
    ft_deflate_counts counts; /* of the symbols that are in every payload */
    ft_deflate_step step[FT_DEFLATE_STEPS];
    unsigned steps;
    uint64_t unit[FT_DEFLATE_MODEL_MAX * 9 / 56 + FT_DEFLATE_STEPS + 2];
} ft_deflate_model;

/* The encoder's working memory: one per thread, initialised once, reused for every call.  Any
 * alignment will do; 64 bytes is best. */
typedef struct ft_deflate_work {
    /* The payload, with room for reading whole words beyond its end. */
    uint8_t window[FT_DEFLATE_MAX + 64];
    /* Last position of each hash slot, stored as base + position: entries of earlier payloads
     * are at most base, so the table is cleared only when base would overflow. */
    uint16_t head[1 << FT_DEFLATE_SLOT_BITS];
    uint32_t base;
    uint16_t hash[FT_DEFLATE_MAX + 64];  /* of each position, and more */
    uint16_t slot[FT_DEFLATE_MAX + 64];
    uint16_t chain[FT_DEFLATE_MAX + 64]; /* head[slot] before the position was entered */
    uint64_t linked[FT_DEFLATE_MAX / 64 + 1]; /* one bit per position: chain above base */
    ft_deflate_match matches[FT_DEFLATE_MAX / 3 + 1];
    size_t match_count, literal_count;
    ft_deflate_model models[FT_DEFLATE_MODELS][2]; /* a general one and a special one */
    const ft_deflate_model *model; /* that of the payload in the window, or NULL */
    /* The fixed code (RFC 1951, 3.2.6), each word its bits in sending order and its length. */
    uint32_t fixed_code[288];
    uint32_t fixed_distance_code[30];
    /* Logarithms for the bound, in 1/256 bit. */
    uint32_t n_log_n[FT_DEFLATE_LOGS];
    uint16_t log_above[FT_DEFLATE_LOGS];
    uint16_t log_step[256]; /* n_log_n[n + 1] - n_log_n[n], rounded so that sums are above */
    ft_deflate_lanes lanes[FT_DEFLATE_GROUPS];
    ft_deflate_heaps heaps;
} ft_deflate_work;

/* Room for the stream of any payload of n bytes, with slack for stores of whole words. */
size_t ft_zlib_bound(size_t n);

/* To be called once before the first use of a work area. */
void ft_deflate_work_init(ft_deflate_work *w);

/* Writes the stream of in[0..n) to out (ft_zlib_bound(n) bytes) and returns its size;
 * 0 if n > FT_DEFLATE_MAX. */
size_t ft_zlib(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w);

/* The same for many payloads: in[i], n[i] -> out[i], out_n[i]. */
void ft_zlib_many(const uint8_t *const *in, const size_t *n, uint8_t *const *out, size_t *out_n,
                  size_t count, ft_deflate_work *w);

/* Chooses the instruction set for the whole process: "portable", "sse4", "avx2", "avx512" or
 * "neon".  Returns 1, or 0 (and changes nothing) if the name is unknown or the machine lacks it.
 * Without a call it is the best one.  The output is the same. */
int ft_deflate_select(const char *name);

/* The encoder compiled for one instruction set. */
typedef struct {
    size_t (*zlib)(const uint8_t *, size_t, uint8_t *, ft_deflate_work *);
    void (*zlib_many)(const uint8_t *const *, const size_t *, uint8_t *const *, size_t *, size_t,
                      ft_deflate_work *);
    void (*dynamic_sizes)(ft_deflate_lanes *, ft_deflate_heaps *); /* see deflate_lanes.h */
    unsigned lanes;                                                /* payloads at a time */
} ft_deflate_way;

/* By the names of ft_deflate_select; NULL if there is none, or the machine lacks it. */
const ft_deflate_way *ft_deflate_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
