/* Stock zlib's level 6 for short payloads:
 *   find_matches   zlib's lazy parse: hash chains, budget, tie rules;
 *   put_fixed      the block with fixed codes, which nearly always is the one that zlib takes;
 *   fixed_wins     the proof of it (deflate_bound.h), for many payloads also by deflate_lanes.h;
 *   choose_block   failing that, exact trees and zlib's choice: stored, fixed or dynamic.
 * docs/deflate.md explains every rule that decides about a bit.
 *
 * Included once by each deflate*.c, which compiles it for an instruction set and says
 *     DEFLATE_WAY    the name of the ft_deflate_way that comes out
 *     LANE_BYTES, LANE_WHOLE(x)    see deflate_lanes.h
 *     BOUND_PERCENT  where the bound proves less of a batch than this, the lanes decide alone */
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

static inline uint64_t load64le(const uint8_t *in)
{
    uint64_t x;
    memcpy(&x, in, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

/* zlib's hash of the three bytes at p. */
static inline unsigned hash15(const uint8_t *p) { return (p[0] << 10 ^ p[1] << 5 ^ p[2]) & 0x7fff; }

/* The hashes of the three bytes at each position; some beyond the end make whole groups. */
static inline void hash_positions(size_t n, ft_deflate_work *w)
{
    for (size_t i = 0; i < n; i += 32)
        for (size_t k = i; k < i + 32; k++) w->hash[k] = (uint16_t)hash15(w->window + k);
}

/* Chains the positions by hash.  zlib enters all positions up to n - 3, whatever the parse
 * does, so this can be done beforehand.  zlib's 2^15 heads would not stay in the first-level
 * cache, so positions are chained by a slot computed from the hash, and whoever follows a
 * chain passes over the entries of another hash. */
static void link_positions(size_t n, ft_deflate_work *w)
{
    const size_t end = n < MIN_MATCH ? 0 : n - (MIN_MATCH - 1);
    uint16_t *slot = w->slot, *chain = w->chain, *head = w->head;

    if (w->base + n > UINT16_MAX) {
        memset(w->head, 0, sizeof w->head);
        w->base = 0;
    }
    const unsigned base = w->base;
    for (size_t i = 0; i < end; i += 32)
        for (size_t k = i; k < i + 32; k++)
            slot[k] = (uint16_t)(w->hash[k] * 40503u) >> (16 - FT_DEFLATE_SLOT_BITS);
    for (size_t i = 0; i < end; i++) {
        chain[i] = head[slot[i]];
        head[slot[i]] = (uint16_t)(base + i);
    }
    for (size_t i = end; i < end + 64; i++) chain[i] = 0;

    /* One bit per position: is there anything in its chain? */
    for (size_t i = 0; i <= end; i += 64) {
        uint8_t flag[64];
        uint64_t bits = 0;
        for (unsigned k = 0; k < 64; k++) flag[k] = chain[i + k] > base;
        for (unsigned k = 0; k < 64; k += 8)
            bits |= load64le(flag + k) * 0x0102040810204080u >> 56 << k;
        w->linked[i / 64] = bits;
    }
    w->base += (uint32_t)n;
}

/* The first linked position at or after i, n or more if there is none. */
static inline size_t next_linked(const ft_deflate_work *w, size_t i, size_t n)
{
    uint64_t bits = w->linked[i / 64] >> i % 64;
    if (bits) return i + (size_t)__builtin_ctzll(bits);
    for (i = (i / 64 + 1) * 64; i < n; i += 64)
        if (w->linked[i / 64]) return i + (size_t)__builtin_ctzll(w->linked[i / 64]);
    return n;
}

/* How many of at most `limit` bytes are equal; may read up to 8 bytes beyond. */
static inline unsigned common_length(const uint8_t *a, const uint8_t *b, unsigned limit)
{
    for (unsigned k = 0; k < limit; k += 8) {
        uint64_t difference = load64le(a + k) ^ load64le(b + k);
        if (difference) {
            k += (unsigned)__builtin_ctzll(difference) >> 3;
            return k < limit ? k : limit;
        }
    }
    return limit;
}

/* The longest match at position i that is longer than `best`: its length, or `best` if there
 * is none; the nearest wins among equals. */
static inline unsigned longest_match(size_t n, const ft_deflate_work *w, unsigned base, size_t i,
                                     unsigned best, unsigned *distance)
{
    const uint8_t *in = w->window;
    unsigned ahead = (unsigned)(n - i);
    unsigned limit = ahead < MAX_MATCH ? ahead : MAX_MATCH;
    unsigned nice = ahead < NICE_LENGTH ? ahead : NICE_LENGTH;
    unsigned budget = best >= GOOD_LENGTH ? CHAIN_BUDGET / 4 : CHAIN_BUDGET;
    unsigned hash = w->hash[i];
    if (best >= limit) return best;
    for (unsigned link = w->chain[i]; link > base; link = w->chain[link - base]) {
        size_t at = link - base;
        if (w->hash[at] != hash) continue;
        if (in[at + best] == in[i + best]) {
            unsigned length = common_length(in + at, in + i, limit);
            if (length > best) {
                best = length;
                *distance = (unsigned)(i - at);
                if (length >= nice) break;
            }
        }
        if (--budget == 0) break;
    }
    return best;
}

/* The lazy parse: a match shorter than LAZY_LENGTH is given up for a strictly longer one at
 * the next position. */
static void find_matches(size_t n, ft_deflate_work *w)
{
    ft_deflate_match *match = w->matches;
    size_t literals = n;
    const unsigned base = w->base + n > UINT16_MAX ? 0 : w->base;
    link_positions(n, w);
    for (size_t i = 0; (i = next_linked(w, i, n)) < n;) {
        unsigned distance = 0;
        unsigned length = longest_match(n, w, base, i, MIN_MATCH - 1, &distance);
        if (length < MIN_MATCH) {
            i++;
            continue;
        }
        while (length < LAZY_LENGTH && w->chain[i + 1] > base) {
            unsigned longer = longest_match(n, w, base, i + 1, length, &distance);
            if (longer == length) break;
            length = longer;
            i++;
        }
        match->at = (uint16_t)i;
        match->length = (uint16_t)length;
        match->distance = (uint16_t)distance;
        match->length_code = (uint8_t)length_code(length);
        match->distance_code = (uint8_t)distance_code(distance);
        match++;
        literals -= length;
        i += length;
    }
    w->match_count = (size_t)(match - w->matches);
    w->literal_count = literals;
}

/* ------------------------------------------------------------------ frequencies */

typedef struct {
    uint16_t literal[LITERAL_CODES]; /* literals, end of block, lengths */
    uint16_t distance[DISTANCE_CODES];
    unsigned extra_bits; /* of all lengths and distances */
} symbol_counts;

/* memset whose size the compiler does not see: for these sizes the call is faster than the
 * string instruction that it would put in place. */
static inline void clear(void *p, size_t n)
{
    __asm__("" : "+r"(n));
    memset(p, 0, n);
}

static void count_symbols(size_t n, const ft_deflate_work *w, symbol_counts *c)
{
    const uint8_t *in = w->window;
    const ft_deflate_match *match = w->matches, *end = match + w->match_count;
    size_t i = 0;
    clear(c, sizeof *c);
    for (; match < end; match++) {
        while (i < match->at) c->literal[in[i++]]++;
        c->literal[END_OF_BLOCK + 1 + match->length_code]++;
        c->distance[match->distance_code]++;
        c->extra_bits += length_extra(match->length_code) + distance_extra(match->distance_code);
        i += match->length;
    }
    while (i < n) c->literal[in[i++]]++;
    c->literal[END_OF_BLOCK]++;
}

/* ------------------------------------------------------------------ Huffman trees */

typedef struct {
    uint8_t length[LITERAL_CODES + 1];
    uint32_t code[LITERAL_CODES]; /* CODE(bits, length), filled in when needed */
    unsigned used;                /* symbols 0..used-1 are transmitted */
    unsigned bits;                /* sum of frequency x length, forced symbols not counted */
} huffman_tree;

/* A code word: its bits in sending order (most significant first), and how many they are. */
#define CODE(bits, length) ((uint32_t)(length) << 16 | (bits))
#define CODE_BITS(code) ((code) & 0xffff)
#define CODE_LENGTH(code) ((code) >> 16)

static inline unsigned reverse_bits(unsigned code, unsigned length)
{
    unsigned reversed = 0;
    for (; length; length--, code >>= 1) reversed = reversed << 1 | (code & 1);
    return reversed;
}

/* The canonical code of RFC 1951, 3.2.2. */
static void assign_codes(const uint8_t *length, unsigned symbols, uint32_t *code)
{
    unsigned count[16] = {0}, next[16] = {0};
    for (unsigned s = 0; s < symbols; s++) count[length[s]]++;
    count[0] = 0;
    for (unsigned l = 1; l < 16; l++) next[l] = (next[l - 1] + count[l - 1]) << 1;
    for (unsigned s = 0; s < symbols; s++)
        if (length[s])
            code[s] = CODE(reverse_bits(next[length[s]]++, length[s]), length[s]);
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

#include "deflate_bound.h"

/* Counts one more of the symbol; logs[n] is what n log n grows by from n to n + 1. */
static inline void count_one(uint8_t *count, const uint16_t *logs, uint32_t *sum)
{
    *sum += logs[*count];
    ++*count;
}

static void count_model(const ft_deflate_model *m, const ft_deflate_work *w, ft_deflate_counts *c);

/* Returns 0 if the payload has too many symbols or one of them too often for bytes. */
static int count_few_symbols(size_t n, const ft_deflate_work *w, ft_deflate_counts *c)
{
    if (w->model) {
        count_model(w->model, w, c);
        return 1;
    }
    const uint8_t *in = w->window;
    const ft_deflate_match *match = w->matches, *end = match + w->match_count;
    const size_t symbols = w->literal_count + w->match_count + 1;
    uint32_t literal_logs = 0, distance_logs = 0;
    size_t i = 0;
    if (symbols > BOUND_MAX_SYMBOLS || w->match_count > 255) return 0;
    clear(c, sizeof *c);
    for (; match < end; match++) {
        while (i < match->at) count_one(&c->literal[in[i++]], w->log_step, &literal_logs);
        count_one(&c->literal[END_OF_BLOCK + 1 + match->length_code], w->log_step, &literal_logs);
        count_one(&c->distance[match->distance_code], w->log_step, &distance_logs);
        c->extra_bits += length_extra(match->length_code) + distance_extra(match->distance_code);
        i += match->length;
    }
    while (i < n) count_one(&c->literal[in[i++]], w->log_step, &literal_logs);
    c->literal[END_OF_BLOCK]++;
    c->symbols = (unsigned)symbols;
    c->matches = (unsigned)w->match_count;
    c->literal_logs = literal_logs;
    c->distance_logs = distance_logs;
    if (symbols <= 255) return 1;
    unsigned total = 0; /* a count that went over 255 is missing in it */
    for (unsigned s = 0; s < 288; s++) total += c->literal[s];
    return total == symbols;
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

static inline void put_code(bit_writer *b, uint32_t code)
{
    put_bits(b, CODE_BITS(code), CODE_LENGTH(code));
}

/* Two code words one after the other. */
static inline uint64_t join(uint64_t first, unsigned first_length, uint64_t second)
{
    return first | second << first_length;
}

/* Literals in[0..n) in groups: of four if no code is longer than 14 bits, else of three. */
static inline void put_literals(bit_writer *b, const uint8_t *in, size_t n, const uint32_t *code,
                                unsigned group)
{
    for (; n >= group; n -= group, in += group) {
        uint32_t c0 = code[in[0]], c1 = code[in[1]], c2 = code[in[2]];
        unsigned l0 = CODE_LENGTH(c0), l1 = CODE_LENGTH(c1), l2 = CODE_LENGTH(c2);
        uint64_t low = join(CODE_BITS(c0), l0, CODE_BITS(c1)), high = CODE_BITS(c2);
        if (group == 4) {
            uint32_t c3 = code[in[3]];
            high = join(high, l2, CODE_BITS(c3));
            l2 += CODE_LENGTH(c3);
        }
        put_bits(b, join(low, l0 + l1, high), l0 + l1 + l2);
    }
    for (; n; n--, in++) put_code(b, code[*in]);
}

static inline void put_match(bit_writer *b, const ft_deflate_match *match, const uint32_t *code,
                             const uint32_t *distance_code)
{
    uint32_t lc = code[END_OF_BLOCK + 1 + match->length_code];
    uint32_t dc = distance_code[match->distance_code];
    unsigned le = length_extra(match->length_code), de = distance_extra(match->distance_code);
    unsigned length = (match->length - (unsigned)MIN_MATCH) & ((1u << le) - 1);
    unsigned distance = (match->distance - 1u) & ((1u << de) - 1);
    unsigned ll = CODE_LENGTH(lc), dl = CODE_LENGTH(dc);
    uint64_t first = join(CODE_BITS(lc), ll, length), second = join(CODE_BITS(dc), dl, distance);
    put_bits(b, join(first, ll + le, second), ll + le + dl + de); /* at most 48 */
}

/* The symbols of the block. */
static inline void put_symbols(bit_writer *writer, size_t n, const ft_deflate_work *w,
                               const uint32_t *code, const uint32_t *distance_code, unsigned group)
{
    bit_writer b = *writer; /* no store can alias the copy: it stays in registers */
    const ft_deflate_match *match = w->matches, *end = match + w->match_count;
    size_t i = 0;
    for (; match < end; match++) {
        put_literals(&b, w->window + i, match->at - i, code, group);
        put_match(&b, match, code, distance_code);
        i = match->at + match->length;
    }
    put_literals(&b, w->window + i, n - i, code, group);
    put_code(&b, code[END_OF_BLOCK]);
    *writer = b;
}

enum { LAST_BLOCK = 1, STORED = 0 << 1, FIXED = 1 << 1, DYNAMIC = 2 << 1 };

static void put_dynamic(bit_writer *b, size_t n, const ft_deflate_work *w, dynamic_code *d)
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
        put_code(b, d->bit_length.code[symbol]);
        put_bits(b, d->tokens[t].extra, token_extra_bits(symbol));
    }
    put_symbols(b, n, w, d->literal.code, d->distance.code, 3);
}

static void put_fixed(bit_writer *b, size_t n, const ft_deflate_work *w)
{
    put_bits(b, LAST_BLOCK | FIXED, 3);
    put_symbols(b, n, w, w->fixed_code, w->fixed_distance_code, 4);
}

#include "deflate_model.h"

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

/* a = 1 + the sum of all bytes, b = the sum of all values of a, modulo 65521: in closed form
 * b = n + the sum of (n - i) byte[i], below 2^32 up to 4,096 bytes.  The window is zero from n
 * to the next multiple of 32, so whole groups of 32 are summed: with weights 32..1 inside a
 * group, plus 32 times the sum of the groups before it, as if n were that multiple. */
static uint32_t adler_sum(const ft_deflate_work *w, size_t n)
{
    static const int16_t weight[32] = {32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22,
                                       21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11,
                                       10, 9,  8,  7,  6,  5,  4,  3,  2,  1};
    uint32_t sum = 0, weighted = 0;
    size_t i = 0;
    for (; i < n; i += 32) {
        const uint8_t *group = w->window + i;
        int32_t group_sum = 0, group_weighted = 0;
        for (int k = 0; k < 32; k++) {
            group_sum += group[k];
            group_weighted += (int16_t)group[k] * weight[k];
        }
        weighted += 32 * sum + (uint32_t)group_weighted;
        sum += (uint32_t)group_sum;
    }
    weighted -= (uint32_t)(i - n) * sum;
    return ((uint32_t)n + weighted) % 65521 << 16 | (1 + sum) % 65521;
}

/* Whole bytes of a block of so many bits, its 3 header bits included. */
static inline size_t block_bytes(size_t bits) { return (bits + 7) >> 3; }

/* Can a bound prove that the dynamic block would not be smaller in bytes? */
static int fixed_wins(size_t n, const ft_deflate_work *w, size_t whole_bytes_bits)
{
    ft_deflate_counts counts;
    used_symbols used;
    if (!count_few_symbols(n, w, &counts)) return 0;
    find_used(&counts, &used);
    return entropy_bits_below(&counts, &used, w) + 3 + 7 >= whole_bytes_bits ||
           tree_bits_below(&counts, &used, w) + 3 + 7 >= whole_bytes_bits;
}

/* Parses the payload and writes all but the trailer with fixed codes, which is the stream in
 * nearly all cases.  Returns the end of the block. */
static uint8_t *begin_fixed(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w)
{
    if (n) memcpy(w->window, in, n);
    memset(w->window + n, 0, 40);
    out[0] = 0x78;
    out[1] = 0x9c;
    bit_writer bits = {out + 2, 0, 0};
    hash_positions(n, w);
    const ft_deflate_model *model = w->model = find_model(n, w);
    if (model) {
        memcpy(w->matches, model->matches, model->match_count * sizeof *w->matches);
        w->match_count = model->match_count;
        w->literal_count = model->literal_count;
        put_bits(&bits, LAST_BLOCK | FIXED, 3);
        put_model(&bits, model, w);
    } else {
        find_matches(n, w);
        learn_model(n, w);
        put_fixed(&bits, n, w);
    }
    return finish_bits(&bits);
}

/* zlib's choice, with exact trees, over the block that begin_fixed wrote; returns its end. */
static uint8_t *choose_block(size_t n, uint8_t *out, uint8_t *fixed_end, ft_deflate_work *w)
{
    symbol_counts counts;
    dynamic_code dynamic;
    size_t bytes = (size_t)(fixed_end - (out + 2));
    count_symbols(n, w, &counts);
    build_dynamic(&counts, &dynamic);
    size_t dynamic_bytes = block_bytes(dynamic.bits + 3);
    if (n + 4 <= (bytes <= dynamic_bytes ? bytes : dynamic_bytes))
        return put_stored(out + 2, w->window, n);
    if (bytes <= dynamic_bytes) return fixed_end;
    bit_writer bits = {out + 2, 0, 0};
    put_dynamic(&bits, n, w, &dynamic);
    return finish_bits(&bits);
}

static size_t end_stream(size_t n, uint8_t *out, uint8_t *end, const ft_deflate_work *w)
{
    uint32_t sum = adler_sum(w, n);
    *end++ = (uint8_t)(sum >> 24);
    *end++ = (uint8_t)(sum >> 16);
    *end++ = (uint8_t)(sum >> 8);
    *end++ = (uint8_t)sum;
    return (size_t)(end - out);
}

static size_t zlib_one(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w)
{
    if (n > FT_DEFLATE_MAX) return 0;
    uint8_t *end = begin_fixed(in, n, out, w);
    size_t bytes = (size_t)(end - (out + 2));
    if (n + 4 <= bytes || !fixed_wins(n, w, 8 * bytes)) end = choose_block(n, out, end, w);
    return end_stream(n, out, end, w);
}

/* ------------------------------------------------------------------ many payloads */

enum { SURELY_DYNAMIC = 64 }; /* bits that the bound is seldom off: lanes would be in vain */

#include "deflate_lanes.h"

/* zlib_one without the bound. */
static size_t zlib_exact(const uint8_t *in, size_t n, uint8_t *out, ft_deflate_work *w)
{
    uint8_t *end = begin_fixed(in, n, out, w);
    end = choose_block(n, out, end, w);
    return end_stream(n, out, end, w);
}

/* Puts the counts of a payload into a free lane of the group that suits it; returns the group, or
 * NULL if the payload does not fit in. */
static ft_deflate_lanes *fill_lane(ft_deflate_lanes *groups, const ft_deflate_counts *c,
                                   const used_symbols *symbols)
{
    /* the most symbols of each group: the time goes with the square */
    static const uint8_t most[FT_DEFLATE_GROUPS] = {68, 84, 120, FT_DEFLATE_SLOTS};
    const uint64_t *used = symbols->literal;
    unsigned slots = 0;
    for (unsigned k = 0; k < 5; k++) slots += popcount(used[k]);
    /* a run of more than 138 unused symbols has a whole word of them */
    if (slots < 2 || slots > FT_DEFLATE_SLOTS || !used[0] || !used[1] || !used[2] || !used[3])
        return NULL;
    ft_deflate_lanes *lanes = groups;
    for (const uint8_t *m = most; slots > *m; m++) lanes++;
    const unsigned lane = lanes->filled;

    unsigned slot = 0, high = 0;
    uint64_t before = 0;
    for (unsigned k = 0; k < 5; k++) {
        const uint64_t adjacent = used[k] & (used[k] << 1 | before >> 63);
        before = used[k];
        for (uint64_t bits = used[k]; bits; bits &= bits - 1) {
            unsigned s = (unsigned)__builtin_ctzll(bits), frequency = c->literal[64 * k + s];
            high |= frequency;
            lanes->literal[++slot][lane] = (uint8_t)(frequency | (adjacent >> s & 1) << 7);
        }
    }
    if (high >= LANE_ADJACENT) return NULL;
    lanes->literal_used[lane] = (uint8_t)slot;

    const uint64_t forced = symbols->distance[0];
    lanes->other_bits[lane] = (int)c->extra_bits;
    slot = 0;
    for (uint64_t bits = forced; bits; bits &= bits - 1) {
        unsigned s = (unsigned)__builtin_ctzll(bits), frequency = c->distance[s];
        if (frequency >= LANE_ADJACENT) return NULL;
        if (!frequency) {
            frequency = 1;
            lanes->other_bits[lane]--; /* its length is 1: in the tree, but not in the block */
        }
        lanes->distance[++slot][lane] = (uint8_t)(frequency | (forced << 1 >> s & 1) << 7);
    }
    lanes->distance_used[lane] = (uint8_t)slot;

    lanes->count[0][lane] = (uint8_t)symbols->zero.zeros;
    lanes->count[17][lane] = (uint8_t)symbols->zero.code17;
    lanes->count[18][lane] = (uint8_t)symbols->zero.code18;
    return lanes;
}

/* Where the lanes show that zlib would not take the fixed block, writes what it takes. */
static void settle_lanes(ft_deflate_lanes *lanes, const uint8_t *const *in,
                         const size_t *n, uint8_t *const *out, size_t *out_n, ft_deflate_work *w)
{
    const unsigned filled = lanes->filled;
    lanes->filled = 0;
    for (unsigned lane = filled; lane < LANE_BYTES; lane++)
        lanes->literal_used[lane] = lanes->distance_used[lane] = 0;
    const int worthwhile = filled > LANE_BYTES / 8;
    if (worthwhile) dynamic_sizes(lanes, &w->heaps);
    for (unsigned lane = 0; lane < filled; lane++) {
        size_t i = lanes->payload[lane];
        int bits = worthwhile ? lanes->bits[lane] : -1;
        if (bits < 0 || block_bytes((size_t)(bits + lanes->other_bits[lane] + 3)) < out_n[i] - 6)
            out_n[i] = zlib_exact(in[i], n[i], out[i], w);
    }
}

static void zlib_many(const uint8_t *const *in, const size_t *n, uint8_t *const *out, size_t *out_n,
                  size_t count, ft_deflate_work *w)
{
    size_t tried = 0, proved = 0;
    for (unsigned g = 0; g < FT_DEFLATE_GROUPS; g++) w->lanes[g].filled = 0;
    for (size_t i = 0; i < count; i++) {
        if (n[i] > FT_DEFLATE_MAX) {
            out_n[i] = 0;
            continue;
        }
        uint8_t *end = begin_fixed(in[i], n[i], out[i], w);
        size_t bytes = (size_t)(end - (out[i] + 2));
        ft_deflate_lanes *lanes = NULL;
        int settled = 0;
        ft_deflate_counts counts;
        used_symbols used;
        if (n[i] + 4 > bytes && count_few_symbols(n[i], w, &counts)) {
            find_used(&counts, &used);
            settled = entropy_bits_below(&counts, &used, w) + 3 + 7 >= 8 * bytes;
            if (!settled && (tried < 16 || 100 * proved >= BOUND_PERCENT * tried)) {
                unsigned bound = tree_bits_below(&counts, &used, w);
                if (bound + 3 + 7 >= 8 * bytes) {
                    settled = 1;
                } else if (bound != 0 && bound + SURELY_DYNAMIC < 8 * bytes) {
                    settled = 1;
                    end = choose_block(n[i], out[i], end, w);
                }
                tried++;
                proved += (size_t)settled;
            }
            if (!settled) lanes = fill_lane(w->lanes, &counts, &used);
        }
        if (!lanes && !settled) end = choose_block(n[i], out[i], end, w);
        out_n[i] = end_stream(n[i], out[i], end, w);
        if (lanes) {
            lanes->payload[lanes->filled++] = i;
            if (lanes->filled == LANE_BYTES) settle_lanes(lanes, in, n, out, out_n, w);
        }
    }
    for (unsigned g = 0; g < FT_DEFLATE_GROUPS; g++)
        if (w->lanes[g].filled) settle_lanes(&w->lanes[g], in, n, out, out_n, w);
}

const ft_deflate_way DEFLATE_WAY = {zlib_one, zlib_many, dynamic_sizes, LANE_BYTES};
