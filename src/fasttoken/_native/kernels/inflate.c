#include "inflate.h"

#include <string.h>

/* --- what a Huffman code means: one 32-bit entry ---
 *
 * bits 0-3 length of the code, 4-7 number of extra bits, 8-9 kind, 16-31 value: the literal, or
 * the smallest length or distance. */
#define VALUE(v) ((uint32_t)(v) << 16)
#define EXTRA(n) ((uint32_t)(n) << 4)
#define KIND 0x300u
#define LITERAL 0x000u
#define MATCH 0x100u /* a length or a distance */
#define END 0x200u
#define NONE 0x300u /* not a symbol; with code length 0: no code this short, look further */

/* RFC 1951, 3.2.5, as arithmetic: from the ninth length on, four lengths for each number of
 * extra bits; from the fifth distance on, two distances. */
#define LENGTH(s)                                                                                 \
    ((s) == 256   ? END                                                                           \
     : (s) < 265  ? MATCH | VALUE((s) - 254)                                                      \
     : (s) < 285  ? MATCH | EXTRA(((s) - 261) >> 2) |                                             \
                       VALUE(3 + ((4 + (((s) - 257) & 3)) << (((s) - 261) >> 2 & 7)))             \
     : (s) == 285 ? MATCH | VALUE(258)                                                            \
                  : NONE)
#define DISTANCE(s)                                                                               \
    ((s) < 4    ? MATCH | VALUE((s) + 1)                                                          \
     : (s) < 30 ? MATCH | EXTRA(((s) >> 1) - 1) |                                                 \
                      VALUE(1 + ((2 + ((s) & 1)) << ((((s) >> 1) - 1) & 15)))                     \
                : NONE)
#define SYMBOL(s) ((s) < 256 ? VALUE(s) : LENGTH(s))

#define X4(f, i) f(i), f(i + 1), f(i + 2), f(i + 3)
#define X16(f, i) X4(f, i), X4(f, i + 4), X4(f, i + 8), X4(f, i + 12)
#define X64(f, i) X16(f, i), X16(f, i + 16), X16(f, i + 32), X16(f, i + 48)
#define X256(f, i) X64(f, i), X64(f, i + 64), X64(f, i + 128), X64(f, i + 192)

static const uint32_t symbols[288] = {X256(SYMBOL, 0), X16(SYMBOL, 256), X16(SYMBOL, 272)};
static const uint32_t distances[32] = {X16(DISTANCE, 0), X16(DISTANCE, 16)};
static const uint32_t code_lengths[19] = {X16(VALUE, 0), VALUE(16), VALUE(17), VALUE(18)};

/* The fixed codes (3.2.6). Codes arrive with their first bit lowest, so the next bits of the
 * stream index a table at the code's mirror image. */
#define MIRROR5(i) (((i)&1) << 4 | ((i)&2) << 2 | ((i)&4) | ((i)&8) >> 2 | ((i)&16) >> 4)
#define MIRROR7(i) (MIRROR5(i) << 2 | ((i) >> 4 & 2) | ((i) >> 6 & 1))
#define MIRROR8(i) (MIRROR7(i) << 1 | ((i) >> 7 & 1))
#define MIRROR9(i) (MIRROR8(i) << 1 | ((i) >> 8 & 1))
#define FIXED(i)                                                                                  \
    (MIRROR7(i) < 0x18   ? 7 | LENGTH(256 + MIRROR7(i))                                           \
     : MIRROR8(i) < 0xc0 ? 8 | VALUE(MIRROR8(i) - 0x30)                                           \
     : MIRROR8(i) < 0xc8 ? 8 | LENGTH(280 + MIRROR8(i) - 0xc0)                                    \
                         : 9 | VALUE(144 + MIRROR9(i) - 0x190))
#define FIXED_DISTANCE(i) (5 | DISTANCE(MIRROR5(i)))

#define SYMBOL_BITS 9
#define DISTANCE_BITS 8
#define LENGTH_BITS 7
static const uint32_t fixed_symbols[1 << 9] = {X256(FIXED, 0), X256(FIXED, 256)};
static const uint32_t fixed_distances[1 << 5] = {X16(FIXED_DISTANCE, 0), X16(FIXED_DISTANCE, 16)};

/* --- codes that a block brings along --- */

static inline uint64_t load_le64(const uint8_t *p) {
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

typedef struct {
    uint32_t table[1 << SYMBOL_BITS]; /* by the next bits: codes not longer than them */
    uint32_t sorted[288];             /* entries in the order of their codes */
    uint16_t count[16];               /* codes of each length */
} code;

/* Makes the canonical code of n lengths, with the entries meaning[]. Two codes short of
 * complete are accepted where zlib accepts them: if `partial`, a single one of length 1 or
 * none at all. `lengths` is readable up to the next multiple of eight. 0: impossible lengths. */
static int make_code(code *c, unsigned bits, const uint8_t *lengths, const uint32_t *meaning,
                     unsigned n, int partial) {
    unsigned first[16], longest = 0, used = 0;
    int left = 1;
    memset(c->count, 0, sizeof c->count);
    for (unsigned s = 0; s < n; s++) {
        if (s % 8 == 0 && !load_le64(lengths + s)) s += 7; /* most symbols have no code */
        else if (lengths[s]) c->count[lengths[s]]++;
    }
    for (unsigned length = 1; length < 16; length++) {
        first[length] = used;
        used += c->count[length];
        left = 2 * left - c->count[length];
        if (left < 0) return 0;
        if (c->count[length]) longest = length;
    }
    if (left && !(partial && longest <= 1)) return 0;
    for (unsigned s = 0; s < n; s++) {
        if (s % 8 == 0 && !load_le64(lengths + s)) s += 7;
        else if (lengths[s]) c->sorted[first[lengths[s]]++] = meaning[s] | lengths[s];
    }

    /* Each length doubles the table: shorter codes and gaps repeat, the new codes go in. */
    uint32_t mirror = 0, *entry = c->sorted;
    c->table[0] = NONE;
    for (unsigned length = 1; length <= bits; length++) {
        memcpy(c->table + (1u << (length - 1)), c->table, sizeof *c->table << (length - 1));
        for (unsigned i = c->count[length]; i; i--) {
            c->table[mirror] = *entry++;
            uint32_t bit = 1u << (length - 1); /* the mirrored code plus one */
            while (mirror & bit) {
                mirror ^= bit;
                bit >>= 1;
            }
            mirror |= bit;
        }
    }
    return 1;
}

/* The entry of a code longer than its table's index, or NONE. */
static uint32_t find_long(const code *c, uint64_t bits) {
    uint32_t value = 0, first = 0, index = 0;
    for (unsigned length = 1; length < 16; length++, bits >>= 1) {
        value = value << 1 | (uint32_t)(bits & 1);
        first <<= 1;
        if (value - first < c->count[length]) return c->sorted[index + value - first];
        first += c->count[length];
        index += c->count[length];
    }
    return NONE;
}

/* --- the stream --- */

typedef struct {
    const uint8_t *in, *in_end;
    uint8_t *out_start, *out, *out_end;
    uint64_t bits; /* the next bits, first one lowest */
    int left;      /* how many of them are real; fewer than 0: taken from beyond the end */
} stream;

/* At least 56 bits, or all that are left. */
static inline void refill(stream *s) {
    if (s->in_end - s->in >= 8) {
        s->bits |= load_le64(s->in) << s->left;
        s->in += (63 - s->left) >> 3;
        s->left |= 56;
    } else {
        for (; s->left <= 56 && s->in < s->in_end; s->left += 8)
            s->bits |= (uint64_t)*s->in++ << s->left;
    }
}

static inline uint32_t take(stream *s, unsigned n) {
    uint32_t v = (uint32_t)(s->bits & ((1ull << n) - 1));
    s->bits >>= n;
    s->left -= (int)n;
    return v;
}

/* The value of an entry whose code comes next, plus its extra bits. */
static inline uint32_t take_entry(stream *s, uint32_t entry) {
    take(s, entry & 15);
    return (entry >> 16) + take(s, entry >> 4 & 15);
}

static inline void copy_match(uint8_t *out, size_t distance, size_t length, size_t room) {
    const uint8_t *from = out - distance;
    if (distance >= 8 && room >= length + 7) {
        uint8_t *end = out + length;
        do {
            memcpy(out, from, 8);
            out += 8;
            from += 8;
        } while (out < end);
    } else {
        while (length--) *out++ = *from++;
    }
}

/* Symbols until the end of the block: 0, or what is wrong. The codes are NULL for the fixed
 * block, whose tables hold every code. */
static int inflate_symbols(stream *shared, const uint32_t *symbol_table, unsigned symbol_bits,
                           const code *symbol_code, const uint32_t *distance_table,
                           unsigned distance_bits, const code *distance_code) {
    const uint64_t symbol_mask = (1u << symbol_bits) - 1, distance_mask = (1u << distance_bits) - 1;
    stream s = *shared;
    int result;
    for (;;) {
        if (s.left < 48) refill(&s); /* the most that a match takes */
        uint32_t entry = symbol_table[s.bits & symbol_mask];
        if ((entry & KIND) == NONE && !(entry & 15) && symbol_code)
            entry = find_long(symbol_code, s.bits);
        if ((entry & KIND) == LITERAL) {
            take(&s, entry & 15);
            if (s.left < 0) goto truncated;
            if (s.out == s.out_end) goto too_long;
            *s.out++ = (uint8_t)(entry >> 16);
            continue;
        }
        if ((entry & KIND) != MATCH) {
            if (s.left < 15 && (entry & 15) == 0) goto truncated;
            take(&s, entry & 15);
            if (s.left < 0) goto truncated;
            if ((entry & KIND) == NONE) goto bad_code;
            result = 0;
            break;
        }
        size_t length = take_entry(&s, entry);
        entry = distance_table[s.bits & distance_mask];
        if ((entry & KIND) == NONE && !(entry & 15) && distance_code)
            entry = find_long(distance_code, s.bits);
        if ((entry & KIND) == NONE) {
            if (s.left < ((entry & 15) ? (int)(entry & 15) : 15)) goto truncated;
            goto bad_code;
        }
        size_t distance = take_entry(&s, entry), room = (size_t)(s.out_end - s.out);
        if (s.left < 0) goto truncated;
        if (distance > (size_t)(s.out - s.out_start)) goto bad_distance;
        if (length > room) goto too_long;
        copy_match(s.out, distance, length, room);
        s.out += length;
    }
    *shared = s;
    return result;
truncated:
    return FT_INFLATE_TRUNCATED;
too_long:
    return FT_INFLATE_TOO_LONG;
bad_code:
    return FT_INFLATE_BAD_CODE;
bad_distance:
    return FT_INFLATE_BAD_DISTANCE;
}

static int inflate_stored(stream *s) {
    take(s, (unsigned)s->left & 7);
    refill(s);
    uint32_t size = take(s, 16), check = take(s, 16);
    if (s->left < 0) return FT_INFLATE_TRUNCATED;
    if (size != (check ^ 0xffff)) return FT_INFLATE_BAD_BLOCK;
    s->in -= s->left >> 3; /* bytes read ahead */
    s->bits = 0;
    s->left = 0;
    if (size > (size_t)(s->in_end - s->in)) return FT_INFLATE_TRUNCATED;
    if (size > (size_t)(s->out_end - s->out)) return FT_INFLATE_TOO_LONG;
    if (size) memcpy(s->out, s->in, size);
    s->in += size;
    s->out += size;
    return 0;
}

static int inflate_dynamic(stream *s) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[288 + 32] = {0};
    code symbol_code, distance_code;
    refill(s);
    unsigned symbol_count = take(s, 5) + 257, distance_count = take(s, 5) + 1;
    unsigned length_count = take(s, 4) + 4, total = symbol_count + distance_count;
    if (s->left < 0) return FT_INFLATE_TRUNCATED;
    if (symbol_count > 286 || distance_count > 30) return FT_INFLATE_BAD_CODE;
    refill(s);
    for (unsigned i = 0; i < length_count; i++) {
        if (i == 16) refill(s);
        lengths[order[i]] = (uint8_t)take(s, 3);
    }
    if (s->left < 0) return FT_INFLATE_TRUNCATED;
    if (!make_code(&symbol_code, LENGTH_BITS, lengths, code_lengths, 19, 0))
        return FT_INFLATE_BAD_CODE;
    memset(lengths, 0, 19);
    for (unsigned i = 0; i < total;) {
        refill(s);
        uint32_t symbol =
            take_entry(s, symbol_code.table[s->bits & ((1u << LENGTH_BITS) - 1)]);
        unsigned repeat = 1;
        uint8_t length = (uint8_t)symbol;
        if (symbol == 16) {
            if (i == 0) return s->left < 0 ? FT_INFLATE_TRUNCATED : FT_INFLATE_BAD_CODE;
            length = lengths[i - 1];
            repeat = 3 + take(s, 2);
        } else if (symbol > 16) {
            length = 0;
            repeat = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (s->left < 0) return FT_INFLATE_TRUNCATED;
        if (repeat > total - i) return FT_INFLATE_BAD_CODE;
        while (repeat--) lengths[i++] = length;
    }
    if (lengths[256] == 0) return FT_INFLATE_BAD_CODE; /* the block could not end */
    if (!make_code(&symbol_code, SYMBOL_BITS, lengths, symbols, symbol_count, 1) ||
        !make_code(&distance_code, DISTANCE_BITS, lengths + symbol_count, distances,
                   distance_count, 1))
        return FT_INFLATE_BAD_CODE;
    return inflate_symbols(s, symbol_code.table, SYMBOL_BITS, &symbol_code, distance_code.table,
                           DISTANCE_BITS, &distance_code);
}

static uint32_t adler32(const uint8_t *in, size_t n) {
    uint32_t a = 1, b = 0;
    while (n) {
        size_t chunk = n < 5536 ? n : 5536; /* a multiple of 16 that cannot overflow b */
        n -= chunk;
        for (; chunk >= 16; chunk -= 16, in += 16) {
            uint32_t sum = 0, weighted = 0;
            for (uint32_t i = 0; i < 16; i++) {
                sum += in[i];
                weighted += (16 - i) * in[i];
            }
            b += 16 * a + weighted;
            a += sum;
        }
        for (; chunk; chunk--) {
            a += *in++;
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}

ptrdiff_t ft_inflate_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t capacity,
                          size_t *consumed) {
    if (n < 2) return FT_INFLATE_TRUNCATED;
    /* Method 8, a window of at most 32 KiB, a check number, no preset dictionary. */
    if ((in[0] & 15) != 8 || in[0] >> 4 > 7 || (in[0] << 8 | in[1]) % 31 || in[1] & 0x20)
        return FT_INFLATE_BAD_HEADER;
    stream s = {in + 2, in + n, out, out, out + capacity, 0, 0};
    uint32_t last;
    do {
        int result = FT_INFLATE_BAD_BLOCK;
        refill(&s);
        last = take(&s, 1);
        uint32_t type = take(&s, 2);
        if (s.left < 0) return FT_INFLATE_TRUNCATED;
        if (type == 0) result = inflate_stored(&s);
        if (type == 1)
            result = inflate_symbols(&s, fixed_symbols, 9, NULL, fixed_distances, 5, NULL);
        if (type == 2) result = inflate_dynamic(&s);
        if (result) return result;
    } while (!last);
    s.in -= s.left >> 3; /* bytes read ahead */
    if (s.in_end - s.in < 4) return FT_INFLATE_TRUNCATED;
    uint32_t check = (uint32_t)s.in[0] << 24 | (uint32_t)s.in[1] << 16 | (uint32_t)s.in[2] << 8 |
                     s.in[3];
    size_t size = (size_t)(s.out - out);
    if (check != adler32(out, size)) return FT_INFLATE_BAD_CHECKSUM;
    if (consumed) *consumed = (size_t)(s.in + 4 - in);
    return (ptrdiff_t)size;
}

/* A stream of fixed codes, and one of its own codes that loses its last byte, then a bit. */
int ft_inflate_self_test(void) {
    static const uint8_t fixed[] = {
        0x78, 0x9c, 0x4b, 0x4b, 0x2c, 0x2e, 0x29, 0xc9, 0xcf, 0x4e, 0xcd, 0xd3, 0x51, 0x48, 0x83,
        0x31, 0x01, 0x53, 0x05, 0x07, 0xeb};
    static const uint8_t dynamic[] = {
        0x78, 0xda, 0x5d, 0xcd, 0xcb, 0x11, 0x03, 0x41, 0x0c, 0x02, 0xd1, 0x58, 0x11, 0xfa, 0x21,
        0x25, 0xe0, 0xf0, 0xbd, 0xeb, 0x39, 0x79, 0x38, 0x77, 0xf1, 0xd0, 0x25, 0xee, 0x52, 0x2d,
        0x53, 0x8f, 0x03, 0xb1, 0x1a, 0x8e, 0x3e, 0xff, 0x2b, 0x5b, 0x84, 0x81, 0x1d, 0xd1, 0x04,
        0x8b, 0xe6, 0xca, 0x54, 0xf0, 0xea, 0x12, 0x12, 0x2a, 0x72, 0x32, 0xdb, 0x66, 0xac, 0xb3,
        0xf0, 0x23, 0xae, 0xee, 0x25, 0x36, 0xc8, 0xc4, 0xac, 0xef, 0x58, 0xb9, 0x1f, 0xe2, 0xfe,
        0x7b, 0x08, 0x6f, 0x67, 0x4c, 0xf5, 0xa6, 0x87, 0xc2, 0x0f, 0x71, 0x75, 0x5f, 0x1c, 0xba,
        0x54, 0xf6};
    uint8_t out[200], wrong[sizeof dynamic];
    size_t consumed;
    if (ft_inflate_zlib(fixed, sizeof fixed, out, sizeof out, &consumed) != 20 ||
        consumed != sizeof fixed || memcmp(out, "fasttoken, fasttoken", 20))
        return 0;
    if (ft_inflate_zlib(dynamic, sizeof dynamic, out, sizeof out, &consumed) != 200) return 0;
    for (unsigned i = 0; i < 200; i++)
        if (out[i] != (i % 40 < 25 ? (i * i * 7 + i / 9) % 11 + 97 : 120)) return 0;
    if (ft_inflate_zlib(dynamic, sizeof dynamic - 1, out, sizeof out, NULL) !=
        FT_INFLATE_TRUNCATED)
        return 0;
    memcpy(wrong, dynamic, sizeof wrong);
    wrong[sizeof wrong - 1] ^= 1;
    return ft_inflate_zlib(wrong, sizeof wrong, out, sizeof out, NULL) == FT_INFLATE_BAD_CHECKSUM;
}
