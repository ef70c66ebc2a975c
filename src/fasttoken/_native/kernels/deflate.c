/* Stock zlib's level 6 for one short payload.  Three steps:
 *   find_matches   zlib's lazy parse: hash chains, budget, tie rules;
 *   count_symbols  the symbol frequencies of the parse;
 *   write_stream   one block: stored, fixed or dynamic, whichever zlib takes, and its bits.
 * docs/deflate.md explains every rule that decides about a bit. */
#include "deflate.h"

#include <string.h>

/* ------------------------------------------------------------------ symbols of RFC 1951 */

enum {
    END_OF_BLOCK = 256,
    LITERAL_CODES = 286, /* literals, end of block, 29 length codes */
    DISTANCE_CODES = 30,
    BIT_LENGTH_CODES = 19,
    MIN_MATCH = 3,
    MAX_MATCH = 258
};

static inline unsigned log2_floor(unsigned x) { return 31u - (unsigned)__builtin_clz(x); }

/* Length code 0..28 (symbol minus 257) of a match length, and its number of extra bits. */
static inline unsigned length_code(unsigned length)
{
    unsigned x = length - MIN_MATCH;
    if (x < 8) return x;
    if (length == MAX_MATCH) return 28;
    unsigned extra = log2_floor(x) - 2;
    return 4 * extra + 4 + ((x >> extra) & 3);
}

static inline unsigned length_extra(unsigned code)
{
    return code < 8 || code == 28 ? 0 : (code - 4) >> 2;
}

/* Distance code 0..29 of a distance, and its number of extra bits. */
static inline unsigned distance_code(unsigned distance)
{
    unsigned x = distance - 1;
    if (x < 4) return x;
    unsigned extra = log2_floor(x) - 1;
    return 2 * extra + 2 + ((x >> extra) & 1);
}

static inline unsigned distance_extra(unsigned code) { return code < 4 ? 0 : (code - 2) >> 1; }

/* In both cases the extra bits are the low bits of length - 3 or distance - 1. */

/* ------------------------------------------------------------------ matches */

/* zlib's tuning of level 6. */
enum {
    CHAIN_BUDGET = 128, /* candidates looked at ... */
    GOOD_LENGTH = 8,    /* ... a quarter of it once the pending match is this long */
    LAZY_LENGTH = 16,   /* a match this long is taken without looking at the next position */
    NICE_LENGTH = 128   /* a candidate this long ends the search */
};

/* Links every position to the previous one of equal hash.  zlib enters all positions up to
 * n - 3, whatever the parse does, so the chains can be built beforehand. */
static void link_positions(const uint8_t *in, size_t n, ft_deflate_work *w)
{
    if (w->base + n > UINT16_MAX) {
        memset(w->head, 0, sizeof w->head);
        w->base = 0;
    }
    unsigned base = w->base;
    memset(w->previous + (n < 2 ? 0 : n - 2), 0, (n < 2 ? n : 2) * sizeof *w->previous);
    for (size_t i = 0; i + MIN_MATCH <= n; i++) {
        unsigned hash = (in[i] << 10 ^ in[i + 1] << 5 ^ in[i + 2]) & 0x7fff;
        int last = (int)w->head[hash] - (int)base;
        w->previous[i] = (uint16_t)(last > 0 ? last : 0);
        w->head[hash] = (uint16_t)(base + i);
    }
    w->base += (uint32_t)n;
}

static unsigned common_length(const uint8_t *a, const uint8_t *b, unsigned limit)
{
    unsigned k = 0;
    while (k < limit && a[k] == b[k]) k++;
    return k;
}

/* The longest match at position i that is longer than `best`: its length, or `best` if there
 * is none; the nearest wins among equals.  The caller has seen that previous[i] is not 0. */
static unsigned longest_match(const uint8_t *in, size_t n, const uint16_t *previous, size_t i,
                              unsigned best, unsigned *distance)
{
    unsigned ahead = (unsigned)(n - i);
    unsigned limit = ahead < MAX_MATCH ? ahead : MAX_MATCH;
    unsigned nice = ahead < NICE_LENGTH ? ahead : NICE_LENGTH;
    unsigned budget = best >= GOOD_LENGTH ? CHAIN_BUDGET / 4 : CHAIN_BUDGET;
    if (best >= limit) return best;
    for (unsigned at = previous[i]; at != 0 && budget != 0; at = previous[at], budget--) {
        if (in[at + best] != in[i + best]) continue;
        unsigned length = common_length(in + at, in + i, limit);
        if (length > best) {
            best = length;
            *distance = (unsigned)(i - at);
            if (length >= nice) break;
        }
    }
    return best;
}

/* The lazy parse: a match shorter than LAZY_LENGTH is given up for a strictly longer one at
 * the next position. */
static void find_matches(const uint8_t *in, size_t n, ft_deflate_work *w)
{
    const uint16_t *previous = w->previous;
    ft_deflate_match *match = w->matches;
    size_t i = 0;
    link_positions(in, n, w);
    while (i < n) {
        unsigned distance = 0;
        unsigned length = MIN_MATCH - 1;
        if (previous[i]) length = longest_match(in, n, previous, i, length, &distance);
        if (length < MIN_MATCH) {
            i++;
            continue;
        }
        while (length < LAZY_LENGTH && previous[i + 1]) {
            unsigned longer = longest_match(in, n, previous, i + 1, length, &distance);
            if (longer == length) break;
            length = longer;
            i++;
        }
        *match++ = (ft_deflate_match){(uint16_t)i, (uint16_t)length, (uint16_t)distance};
        i += length;
    }
    w->match_count = (size_t)(match - w->matches);
}

/* ------------------------------------------------------------------ frequencies */

typedef struct {
    uint16_t literal[LITERAL_CODES]; /* literals, end of block, lengths */
    uint16_t distance[DISTANCE_CODES];
    unsigned extra_bits; /* of all lengths and distances */
} symbol_counts;

static void count_symbols(const uint8_t *in, size_t n, const ft_deflate_work *w, symbol_counts *c)
{
    size_t i = 0;
    memset(c, 0, sizeof *c);
    for (size_t m = 0; m < w->match_count; m++) {
        const ft_deflate_match *match = &w->matches[m];
        unsigned length = length_code(match->length);
        unsigned distance = distance_code(match->distance);
        while (i < match->at) c->literal[in[i++]]++;
        c->literal[END_OF_BLOCK + 1 + length]++;
        c->distance[distance]++;
        c->extra_bits += length_extra(length) + distance_extra(distance);
        i += match->length;
    }
    while (i < n) c->literal[in[i++]]++;
    c->literal[END_OF_BLOCK]++;
}

/* ------------------------------------------------------------------ Huffman trees */

typedef struct {
    uint8_t length[LITERAL_CODES + 1];
    uint16_t code[LITERAL_CODES]; /* in sending order: most significant bit first */
    unsigned used;                /* symbols 0..used-1 are transmitted */
    unsigned bits;                /* sum of frequency x length, forced symbols not counted */
} huffman_tree;

static inline unsigned reverse_bits(unsigned code, unsigned length)
{
    unsigned reversed = 0;
    for (; length; length--, code >>= 1) reversed = reversed << 1 | (code & 1);
    return reversed;
}

/* The canonical code of RFC 1951, 3.2.2. */
static void assign_codes(const uint8_t *length, unsigned symbols, uint16_t *code)
{
    unsigned count[16] = {0}, next[16] = {0};
    for (unsigned s = 0; s < symbols; s++) count[length[s]]++;
    count[0] = 0;
    for (unsigned l = 1; l < 16; l++) next[l] = (next[l - 1] + count[l - 1]) << 1;
    for (unsigned s = 0; s < symbols; s++)
        if (length[s]) code[s] = (uint16_t)reverse_bits(next[length[s]]++, length[s]);
}

/* A heap entry: frequency, depth of its subtree, node.  Order is (frequency, depth) only; what
 * happens among equals decides about the shape of the tree, so the sift is zlib's exactly. */
enum { NODE_BITS = 10, DEPTH_BITS = 5 };
#define NODE(entry) ((entry) & ((1u << NODE_BITS) - 1))
#define KEY(entry) ((entry) >> NODE_BITS)
#define DEPTH(entry) (KEY(entry) & ((1u << DEPTH_BITS) - 1))
#define ENTRY(frequency, depth, node) \
    (((uint32_t)(frequency) << DEPTH_BITS | (depth)) << NODE_BITS | (node))

static void sift_down(uint32_t *heap, unsigned size, unsigned slot)
{
    uint32_t entry = heap[slot];
    for (unsigned child; (child = 2 * slot) <= size; slot = child) {
        if (child < size && KEY(heap[child + 1]) <= KEY(heap[child])) child++;
        if (KEY(entry) <= KEY(heap[child])) break;
        heap[slot] = heap[child];
    }
    heap[slot] = entry;
}

/* Lengths above max_length: as zlib does, move leaves up the tree by counts, then deal the
 * lengths out anew, longest first, to the leaves in the order in which they left the heap. */
static void limit_lengths(const uint16_t *removed, unsigned removed_count, unsigned symbols,
                          unsigned max_length, unsigned too_long, unsigned *count,
                          uint8_t *length)
{
    for (int excess = (int)too_long; excess > 0; excess -= 2) {
        unsigned bits = max_length - 1;
        while (count[bits] == 0) bits--;
        count[bits]--;
        count[bits + 1] += 2;
        count[max_length]--;
    }
    const uint16_t *next = removed;
    const uint16_t *end = removed + removed_count;
    for (unsigned bits = max_length; bits != 0; bits--)
        for (unsigned left = count[bits]; left != 0 && next < end; next++)
            if (*next < symbols) {
                length[*next] = (uint8_t)bits;
                left--;
            }
}

/* zlib's tree over symbols 0..symbols-1.  At least two symbols get a code: 0 and 1 are forced
 * in as needed (their bits do not count). */
static void build_tree(const uint16_t *frequency, unsigned symbols, unsigned max_length,
                       huffman_tree *tree)
{
    uint32_t heap[LITERAL_CODES + 2];
    uint16_t parent[2 * LITERAL_CODES];
    uint8_t depth[2 * LITERAL_CODES]; /* distance from the root */
    uint16_t removed[2 * LITERAL_CODES];
    unsigned size = 0, last = 0, node = symbols, removed_count = 0;

    memset(tree->length, 0, sizeof tree->length);
    for (unsigned s = 0; s < symbols; s++)
        if (frequency[s]) {
            heap[++size] = ENTRY(frequency[s], 0, s);
            last = s;
        }
    unsigned used = size ? last + 1 : 0; /* symbols up to the last used */
    while (size < 2) {
        unsigned s = used < 3 ? used++ : 0;
        if (s > last) last = s;
        heap[++size] = ENTRY(1, 0, s);
    }
    tree->used = last + 1;

    for (unsigned slot = size / 2; slot != 0; slot--) sift_down(heap, size, slot);
    do {
        uint32_t a = heap[1];
        heap[1] = heap[size--];
        sift_down(heap, size, 1);
        uint32_t b = heap[1];
        unsigned deeper = DEPTH(a) > DEPTH(b) ? DEPTH(a) : DEPTH(b);
        unsigned sum = (KEY(a) >> DEPTH_BITS) + (KEY(b) >> DEPTH_BITS);
        removed[removed_count++] = (uint16_t)NODE(a);
        removed[removed_count++] = (uint16_t)NODE(b);
        parent[NODE(a)] = parent[NODE(b)] = (uint16_t)node;
        heap[1] = ENTRY(sum, deeper + 1, node);
        node++;
        sift_down(heap, size, 1);
    } while (size >= 2);

    unsigned count[32] = {0}, too_long = 0;
    depth[node - 1] = 0;
    for (unsigned r = removed_count; r-- != 0;) {
        unsigned s = removed[r];
        unsigned d = depth[parent[s]] + 1u;
        if (d > max_length) {
            d = max_length;
            too_long++;
        }
        depth[s] = (uint8_t)d;
        if (s < symbols) {
            tree->length[s] = (uint8_t)d;
            count[d]++;
        }
    }
    if (too_long)
        limit_lengths(removed, removed_count, symbols, max_length, too_long, count, tree->length);
    tree->bits = 0;
    for (unsigned s = 0; s < tree->used; s++) tree->bits += frequency[s] * tree->length[s];
}

/* ------------------------------------------------------------------ the dynamic header */

/* Order in which the lengths of the bit-length code are sent (RFC 1951, 3.2.7). */
static const uint8_t bit_length_order[BIT_LENGTH_CODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                           11, 4,  12, 3, 13, 2, 14, 1, 15};

/* One token of the run-length form of the code lengths. */
typedef struct {
    uint8_t symbol; /* 0..15 a length, 16 repeat, 17 and 18 zeros */
    uint8_t extra;  /* value of the extra bits */
} length_token;

static inline unsigned token_extra_bits(unsigned symbol)
{
    return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
}

typedef struct {
    huffman_tree literal, distance, bit_length;
    length_token tokens[LITERAL_CODES + DISTANCE_CODES];
    unsigned token_count;
    unsigned bit_length_count; /* how many of bit_length_order are sent, at least 4 */
    unsigned bits;             /* whole block but for its 3 header bits */
} dynamic_code;

/* zlib runs the literal and the distance lengths through the run-length code one after the
 * other, no run crosses from one to the other; a run of a nonzero length sends the length
 * itself first, then repeats of 3 to 6, unless fewer than 3 are left. */
static length_token *run_lengths(const huffman_tree *tree, length_token *out)
{
    const uint8_t *length = tree->length;
    for (unsigned s = 0; s < tree->used;) {
        unsigned value = length[s], run = 1;
        while (s + run < tree->used && length[s + run] == value) run++;
        s += run;
        if (value != 0) {
            *out++ = (length_token){(uint8_t)value, 0};
            run--;
        }
        while (run >= MIN_MATCH) {
            unsigned most = value ? 6 : 138;
            unsigned part = run < most ? run : most;
            unsigned symbol = value ? 16 : part <= 10 ? 17 : 18;
            *out++ = (length_token){(uint8_t)symbol, (uint8_t)(part - (symbol == 18 ? 11 : 3))};
            run -= part;
        }
        for (; run != 0; run--) *out++ = (length_token){(uint8_t)value, 0};
    }
    return out;
}

static void build_dynamic(const symbol_counts *c, dynamic_code *d)
{
    uint16_t frequency[BIT_LENGTH_CODES] = {0};
    build_tree(c->literal, LITERAL_CODES, 15, &d->literal);
    build_tree(c->distance, DISTANCE_CODES, 15, &d->distance);
    length_token *end = run_lengths(&d->literal, d->tokens);
    end = run_lengths(&d->distance, end);
    d->token_count = (unsigned)(end - d->tokens);

    d->bits = 5 + 5 + 4 + d->literal.bits + d->distance.bits + c->extra_bits;
    for (unsigned t = 0; t < d->token_count; t++) {
        frequency[d->tokens[t].symbol]++;
        d->bits += token_extra_bits(d->tokens[t].symbol);
    }
    build_tree(frequency, BIT_LENGTH_CODES, 7, &d->bit_length);
    d->bit_length_count = BIT_LENGTH_CODES;
    while (d->bit_length_count > 4 &&
           d->bit_length.length[bit_length_order[d->bit_length_count - 1]] == 0)
        d->bit_length_count--;
    d->bits += d->bit_length.bits + 3 * d->bit_length_count;
}

/* ------------------------------------------------------------------ bits */

/* Bits go out from the least significant end.  At most 7 bits wait between two calls, so up
 * to 57 can be added; every call stores 8 bytes, the slack of ft_zlib_bound. */
typedef struct {
    uint8_t *out;
    uint64_t waiting;
    unsigned count;
} bit_writer;

static inline void store64le(uint8_t *out, uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    memcpy(out, &x, 8);
}

static inline void put_bits(bit_writer *b, uint64_t value, unsigned count)
{
    b->waiting |= value << b->count;
    b->count += count;
    store64le(b->out, b->waiting);
    b->out += b->count >> 3;
    b->waiting >>= b->count & ~7u;
    b->count &= 7;
}

static uint8_t *finish_bits(bit_writer *b)
{
    if (b->count) *b->out++ = (uint8_t)b->waiting;
    return b->out;
}

/* The symbols of the block with the given codes. */
static void put_symbols(bit_writer *b, const uint8_t *in, size_t n, const ft_deflate_work *w,
                        const uint16_t *code, const uint8_t *code_length,
                        const uint16_t *distance_codes, const uint8_t *distance_lengths)
{
    size_t i = 0;
    for (size_t m = 0; m <= w->match_count; m++) {
        const ft_deflate_match *match = &w->matches[m];
        size_t stop = m < w->match_count ? match->at : n;
        for (; i < stop; i++) put_bits(b, code[in[i]], code_length[in[i]]);
        if (m == w->match_count) break;
        unsigned lc = length_code(match->length), le = length_extra(lc);
        unsigned dc = distance_code(match->distance), de = distance_extra(dc);
        unsigned symbol = END_OF_BLOCK + 1 + lc;
        put_bits(b, code[symbol], code_length[symbol]);
        put_bits(b, (match->length - (unsigned)MIN_MATCH) & ((1u << le) - 1), le);
        put_bits(b, distance_codes[dc], distance_lengths[dc]);
        put_bits(b, (match->distance - 1u) & ((1u << de) - 1), de);
        i += match->length;
    }
    put_bits(b, code[END_OF_BLOCK], code_length[END_OF_BLOCK]);
}

enum { LAST_BLOCK = 1, STORED = 0 << 1, FIXED = 1 << 1, DYNAMIC = 2 << 1 };

static void put_dynamic(bit_writer *b, const uint8_t *in, size_t n, const ft_deflate_work *w,
                        dynamic_code *d)
{
    assign_codes(d->literal.length, LITERAL_CODES, d->literal.code);
    assign_codes(d->distance.length, DISTANCE_CODES, d->distance.code);
    assign_codes(d->bit_length.length, BIT_LENGTH_CODES, d->bit_length.code);
    put_bits(b, LAST_BLOCK | DYNAMIC, 3);
    put_bits(b, d->literal.used - 257, 5);
    put_bits(b, d->distance.used - 1, 5);
    put_bits(b, d->bit_length_count - 4, 4);
    for (unsigned k = 0; k < d->bit_length_count; k++)
        put_bits(b, d->bit_length.length[bit_length_order[k]], 3);
    for (unsigned t = 0; t < d->token_count; t++) {
        unsigned symbol = d->tokens[t].symbol;
        put_bits(b, d->bit_length.code[symbol], d->bit_length.length[symbol]);
        put_bits(b, d->tokens[t].extra, token_extra_bits(symbol));
    }
    put_symbols(b, in, n, w, d->literal.code, d->literal.length, d->distance.code,
                d->distance.length);
}

static void put_fixed(bit_writer *b, const uint8_t *in, size_t n, const ft_deflate_work *w)
{
    static const uint8_t five[DISTANCE_CODES] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
                                                 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    static const uint16_t reversed[DISTANCE_CODES] = {
        0, 16, 8, 24, 4, 20, 12, 28, 2, 18, 10, 26, 6, 22, 14,
        30, 1, 17, 9, 25, 5, 21, 13, 29, 3, 19, 11, 27, 7, 23};
    put_bits(b, LAST_BLOCK | FIXED, 3);
    put_symbols(b, in, n, w, w->fixed_code, w->fixed_length, reversed, five);
}

static uint8_t *put_stored(uint8_t *out, const uint8_t *in, size_t n)
{
    *out++ = LAST_BLOCK | STORED;
    *out++ = (uint8_t)n;
    *out++ = (uint8_t)(n >> 8);
    *out++ = (uint8_t)~n;
    *out++ = (uint8_t)(~n >> 8);
    if (n) memcpy(out, in, n);
    return out + n;
}

/* ------------------------------------------------------------------ the stream */

/* Bits of the block with fixed codes, without its 3 header bits. */
static unsigned fixed_bits(const symbol_counts *c, const ft_deflate_work *w)
{
    unsigned bits = c->extra_bits;
    for (unsigned s = 0; s < LITERAL_CODES; s++) bits += c->literal[s] * w->fixed_length[s];
    for (unsigned s = 0; s < DISTANCE_CODES; s++) bits += c->distance[s] * 5;
    return bits;
}

static uint32_t adler_sum(const uint8_t *in, size_t n)
{
    /* Up to 5,552 bytes neither sum overflows 32 bits. */
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) b += a += in[i];
    return b % 65521 << 16 | a % 65521;
}

/* Whole bytes of a block of so many bits and its 3 header bits. */
static inline unsigned block_bytes(unsigned bits) { return (bits + 3 + 7) >> 3; }

size_t ft_zlib(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w)
{
    symbol_counts counts;
    dynamic_code dynamic;
    if (n > FT_DEFLATE_MAX) return 0;
    find_matches(in, n, w);
    count_symbols(in, n, w, &counts);
    build_dynamic(&counts, &dynamic);
    unsigned with_fixed = block_bytes(fixed_bits(&counts, w));
    unsigned with_dynamic = block_bytes(dynamic.bits);
    unsigned smaller = with_fixed <= with_dynamic ? with_fixed : with_dynamic;

    uint8_t *end = out;
    *end++ = 0x78;
    *end++ = 0x9c;
    if (n + 4 <= smaller) {
        end = put_stored(end, in, n);
    } else {
        bit_writer bits = {end, 0, 0};
        if (with_fixed <= with_dynamic)
            put_fixed(&bits, in, n, w);
        else
            put_dynamic(&bits, in, n, w, &dynamic);
        end = finish_bits(&bits);
    }
    uint32_t sum = adler_sum(in, n);
    *end++ = (uint8_t)(sum >> 24);
    *end++ = (uint8_t)(sum >> 16);
    *end++ = (uint8_t)(sum >> 8);
    *end++ = (uint8_t)sum;
    return (size_t)(end - out);
}

void ft_zlib_many(const uint8_t *const *in, const size_t *n, uint8_t *const *out, size_t *out_n,
                  size_t count, ft_deflate_work *w)
{
    for (size_t i = 0; i < count; i++) out_n[i] = ft_zlib(in[i], n[i], out[i], w);
}

/* A stored block takes 5 bytes more than the payload, no other block is taken when longer;
 * header and trailer 6; the bit writer stores 8 bytes at a time. */
size_t ft_zlib_bound(size_t n) { return n + 5 + 6 + 53; }

void ft_deflate_work_init(ft_deflate_work *w)
{
    memset(w, 0, sizeof *w);
    for (unsigned s = 0; s < 288; s++)
        w->fixed_length[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
    assign_codes(w->fixed_length, 288, w->fixed_code);
}

int ft_deflate_select(const char *name) { return strcmp(name, "portable") == 0; }
