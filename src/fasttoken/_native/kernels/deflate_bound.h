/* Two lower bounds on the size of the dynamic block, without its trees: proofs in
 * docs/deflate.md, whose section numbers this file gives.  Included by deflate_encoder.h only.
 *   entropy_bits_below   from the counts alone: cheap, and nearly always enough;
 *   tree_bits_below      from what all trees over these counts have in common. */

enum {
    BOUND_MAX_SYMBOLS = 1000, /* below Fibonacci's 2,584: zlib's limit of 15 bits cannot act */
    BOUND_MAX_USED = 200, /* symbols in use: numbers of them fit in bytes */
    BOUND_MAX_FREQUENCY = 63,
    BOUND_MAX_LENGTH = 12,
    BOUND_MAX_CLASSES = 128
};

/* ------------------------------------------------------------------ logarithms, section 9 */

/* In 1/256 bit: n_log_n is rounded down; with LOG_SLACK added, up. */
enum { LOG_SLACK = 2 };

/* ------------------------------------------------------------------ small helpers */

static inline unsigned popcount(uint64_t x)
{
#ifdef __POPCNT__
    return (unsigned)__builtin_popcountll(x);
#else
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(x * 0x0101010101010101u >> 56);
#endif
}

/* Bit k: is byte k not zero? */
static inline unsigned nonzero_bytes(uint64_t x)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    uint64_t high = (((x & low) + low) | x) & ~low;
    return (unsigned)((high >> 7) * 0x0102040810204080u >> 56);
}

/* Bit s: does symbol s occur? */
static inline void find_symbols(const ft_deflate_counts *c, uint64_t *literal, uint64_t *distance)
{
    for (unsigned word = 0; word < 5; word++) {
        const uint8_t *count = c->literal + 64 * word;
        uint64_t bits = 0;
        for (unsigned k = 0; k < 64; k += 8)
            bits |= (uint64_t)nonzero_bytes(load64le(count + k)) << k;
        literal[word] = bits;
    }
    *distance = 0;
    for (unsigned k = 0; k < 32; k += 8)
        *distance |= (uint64_t)nonzero_bytes(load64le(c->distance + k)) << k;
}

/* The run-length tokens of the unused symbols: runs of 1 and 2 are single zeros, of 3 to 10
 * code 17, longer ones code 18 (of which it counts one).  `used` has a bit per symbol; the last
 * one set, in the last word, is the last symbol transmitted. */
typedef struct {
    unsigned zeros, code17, code18;
} zero_tokens;

static inline uint64_t shift_down(const uint64_t *x, int word, unsigned by)
{
    return x[word] >> by | x[word + 1] << (64 - by);
}

static inline zero_tokens count_zero_tokens(const uint64_t *used, const int words)
{
    uint64_t run1[7], run2[7], run3[7], run4[7], run8[7], run11[7];
    zero_tokens t = {0, 0, 0};
    unsigned runs3 = 0, runs11 = 0, in_runs3 = 0, zeros = 0;
    const int last = words - 1;
    for (int k = 0; k < last; k++) run1[k] = ~used[k];
    run1[last] = ~used[last] & (UINT64_MAX >> __builtin_clzll(used[last]));
    run1[last + 1] = run2[last + 1] = run3[last + 1] = run4[last + 1] = run8[last + 1] = 0;
    run11[last + 1] = 0;
    for (int k = last; k >= 0; k--) { /* runN: here start N zeros */
        run2[k] = run1[k] & shift_down(run1, k, 1);
        run3[k] = run2[k] & shift_down(run1, k, 2);
        run4[k] = run2[k] & shift_down(run2, k, 2);
        run8[k] = run4[k] & shift_down(run4, k, 4);
        run11[k] = run8[k] & shift_down(run4, k, 7);
    }
    uint64_t before3 = 0, before11 = 0;
    for (int k = 0; k <= last; k++) {
        zeros += popcount(run1[k]);
        runs3 += popcount(run3[k] & ~(run3[k] << 1 | before3 >> 63));
        runs11 += popcount(run11[k] & ~(run11[k] << 1 | before11 >> 63));
        in_runs3 += popcount(run3[k]);
        before3 = run3[k];
        before11 = run11[k];
    }
    in_runs3 += 2 * runs3; /* a run of r >= 3 zeros has r - 2 starts of three */
    t.zeros = zeros - in_runs3;
    t.code17 = runs3 - runs11;
    t.code18 = runs11;
    return t;
}

/* Two distance codes are always sent: zlib adds the lowest one free, except that a lone 1 gets
 * 2 and a lone 0 gets 1. */
static inline uint64_t forced_distances(uint64_t used)
{
    if (used == 0) return 3;
    if (used & (used - 1)) return used;
    return used | (used == 1 ? 2 : used == 2 ? 4 : 1);
}

/* The symbols that a dynamic block has code lengths for. */
typedef struct {
    uint64_t literal[7], distance[2]; /* a bit per symbol, then zeros */
    uint64_t distances_occurring;     /* without the forced ones */
    zero_tokens zero;
} used_symbols;

static inline void find_used(const ft_deflate_counts *c, used_symbols *used)
{
    uint64_t *distance = used->distance;
    used->literal[5] = used->literal[6] = distance[1] = 0;
    find_symbols(c, used->literal, distance);
    used->distances_occurring = distance[0];
    distance[0] = forced_distances(distance[0]);
    zero_tokens literal_zero = count_zero_tokens(used->literal, 5);
    zero_tokens distance_zero = count_zero_tokens(distance, 1);
    used->zero.zeros = literal_zero.zeros + distance_zero.zeros;
    used->zero.code17 = literal_zero.code17 + distance_zero.code17;
    used->zero.code18 = literal_zero.code18 + distance_zero.code18;
}

/* Sum of (run - 1) over the runs of at least 4 bits: those that code 16 could replace. */
static inline unsigned foldable(const uint64_t *bits, const int words)
{
    unsigned sum = 0;
    uint64_t before = 0;
    for (int k = 0; k < words; k++) {
        uint64_t four = bits[k] & shift_down(bits, k, 1) & shift_down(bits, k, 2) &
                        shift_down(bits, k, 3);
        sum += popcount(four) + 2 * popcount(four & ~(four << 1 | before >> 63));
        before = four;
    }
    return sum;
}

/* What code 16 saves at most, in 1/256 bit, if it replaces r >= 3 of t equal lengths among
 * `total` tokens: section 8.  `repeats` is the sum of repeats_of(r) over all lengths. */
static inline unsigned repeats_of(unsigned r) { return r < 12 ? 1 : r / 6; }

static inline int64_t saved_above(unsigned t, unsigned r, unsigned total, unsigned repeats,
                                  const ft_deflate_work *w)
{
    int64_t e = repeats_of(r), slope = w->log_above[total] + 370; /* log2 e < 370 / 256 */
    int64_t saved = slope * (r - e) - (int64_t)w->n_log_n[t] + (w->n_log_n[t - r] + LOG_SLACK) -
                    (512 - w->log_above[repeats]) * e;
    return saved > 0 ? saved : 0;
}

/* ------------------------------------------------------- entropy, section 10 */

/* At most the bits of the dynamic block, without its 3 header bits. */
static unsigned entropy_bits_below(const ft_deflate_counts *c, const used_symbols *used,
                                   const ft_deflate_work *w)
{
    /* of log2 of the number of distance codes, rounded down: the shortest of them is no longer,
     * and this many bit-length codes are sent if it is not */
    static const uint8_t sent[5] = {18, 18, 16, 14, 12};
    /* of the number of distance codes: at least so many are of 1 or 2 bits */
    static const uint8_t short_codes[8] = {0, 0, 2, 3, 2, 1, 1, 1};
    const zero_tokens *zero = &used->zero;
    unsigned distances = popcount(used->distance[0]), lengths = distances;
    for (int k = 0; k < 5; k++) lengths += popcount(used->literal[k]);
    unsigned total = lengths + zero->zeros + zero->code17 + zero->code18;
    unsigned folds = foldable(used->literal, 5) + foldable(used->distance, 1);
    uint8_t most = 0; /* occurrences of a literal */
    for (int s = 0; s < 288; s++) most = c->literal[s] > most ? c->literal[s] : most;
    unsigned few = distances < 8 && 7u * most < c->symbols ? short_codes[distances] : 0;
    lengths -= few;

    int64_t bits = (int64_t)w->n_log_n[c->symbols] - c->literal_logs;
    bits += (int64_t)w->n_log_n[c->matches] - c->distance_logs;
    bits += (int64_t)w->n_log_n[total] - w->n_log_n[lengths] - w->n_log_n[few] -
            w->n_log_n[zero->zeros] - w->n_log_n[zero->code17] - w->n_log_n[zero->code18] -
            5 * LOG_SLACK;
    if (folds >= 3) bits -= saved_above(lengths, folds, total, repeats_of(folds), w);
    if (bits < 0) bits = 0;
    return 14 + 3u * sent[log2_floor(distances)] + 3 * zero->code17 + 7 * zero->code18 +
           c->extra_bits + (unsigned)((bits + 255) >> 8);
}

/* ------------------------------------------------------- leaf-first tree, sections 2-5 */

/* Internal nodes of one weight in the order in which they are made, in groups of equal height.
 * All nodes of a group have children alike, but for the first one of a mixed group. */
enum { MAX_GROUPS = 6, IRREGULAR = 255 };

typedef struct {
    uint8_t end;    /* index behind its last node */
    uint8_t height; /* of its nodes, if they are complete binary trees, else IRREGULAR */
    uint8_t mixed;  /* children of the first: one of odd_height, one of even_height; */
    uint8_t odd_height, even_height; /* of all others: two of even_height */
} node_group;

typedef struct {
    uint16_t weight;
    uint8_t count, groups;
    node_group group[MAX_GROUPS];
} node_class;

/* Leaves, then internal nodes of one weight: the order in which they are taken. */
typedef struct {
    uint16_t position, leaves; /* index of the first one; how many leaves */
    uint16_t internal_before;  /* internal nodes before it */
    uint16_t nodes;            /* index of its node_class */
} weight_class;

/* Where the heap may differ from the leaf-first tree: in a mixed group the first node may have
 * changed places with one that is a level higher. */
typedef struct {
    uint8_t from, to; /* 2^height leaves move from this length to that one */
    uint8_t height;
} leaf_move;

enum { MAX_SWAPS = 3 };

typedef struct {
    unsigned cost;                             /* sum of frequency x length, of any optimal tree */
    uint8_t at_depth[BOUND_MAX_LENGTH + 4];    /* leaves of each length */
    uint16_t lengths[BOUND_MAX_FREQUENCY + 1]; /* bit L: a symbol of this frequency may have L */
    unsigned swaps;
    leaf_move moves[MAX_SWAPS][2];
} literal_tree;

/* Pairs up a class: `leaves` leaves and then the nodes of `from`, of which the first `skip` are
 * gone.  Returns 0 if there are too many groups. */
static int pair_class(node_class *to, const node_class *from, unsigned leaves, unsigned skip)
{
    unsigned end = leaves, odd_height = 0, made = leaves / 2;
    to->groups = 0;
    if (made) to->group[to->groups++] = (node_group){.end = (uint8_t)made, .height = 1};
    for (unsigned k = 0; k < from->groups; k++) {
        const node_group *section = &from->group[k];
        if (section->end <= skip) continue;
        unsigned mixed = end & 1;
        end = leaves + section->end - skip;
        if (end / 2 > made) {
            if (to->groups == MAX_GROUPS) return 0;
            made = end / 2;
            to->group[to->groups++] = (node_group){
                .end = (uint8_t)made,
                .height = (uint8_t)(mixed || section->height == IRREGULAR ? IRREGULAR
                                                                          : section->height + 1),
                .mixed = (uint8_t)mixed,
                .odd_height = (uint8_t)odd_height,
                .even_height = section->height};
        }
        odd_height = section->height;
    }
    to->count = (uint8_t)made;
    return 1;
}

static int bound_literal_tree(const uint8_t *frequencies, const uint8_t *leaves, unsigned kinds,
                              literal_tree *tree)
{
    weight_class classes[BOUND_MAX_CLASSES];
    uint16_t leaf_position[BOUND_MAX_FREQUENCY + 1];
    node_class nodes[BOUND_MAX_CLASSES]; /* a queue, weights ascending; 0 stands for none */
    unsigned class_count = 0, head = 1, tail = 1, kind = 0, carry = 0, position = 0, before = 0;
    unsigned cost = 0;

    nodes[0].count = nodes[0].groups = 0;
    for (;;) {
        unsigned w = UINT16_MAX, a = 0, source = 0;
        if (kind < kinds) w = frequencies[kind];
        if (head < tail && nodes[head].weight < w) w = nodes[head].weight;
        if (w == UINT16_MAX) break;
        if (class_count == BOUND_MAX_CLASSES || tail > BOUND_MAX_CLASSES - 2) return 0;
        if (kind < kinds && frequencies[kind] == w) {
            leaf_position[kind] = (uint16_t)position;
            a = leaves[kind++];
        }
        if (head < tail && nodes[head].weight == w) source = head++;
        unsigned n = a + nodes[source].count, skip = 0;
        classes[class_count++] = (weight_class){(uint16_t)position, (uint16_t)a, (uint16_t)before,
                                                (uint16_t)source};
        position += n;
        before += nodes[source].count;
        if (carry) { /* the one left over from a smaller weight takes the first of these */
            node_class *single = &nodes[tail++];
            single->weight = (uint16_t)(carry + w);
            single->count = single->groups = 1;
            single->group[0] = (node_group){.end = 1, .height = IRREGULAR};
            cost += carry + w;
            n--;
            if (a)
                a--;
            else
                skip = 1;
        }
        if (n >= 2) {
            if (!pair_class(&nodes[tail], &nodes[source], a, skip)) return 0;
            nodes[tail++].weight = (uint16_t)(2 * w);
            cost += 2 * w * (n / 2);
        }
        carry = n & 1 ? w : 0;
    }
    tree->cost = cost;

    /* deep[d]: how many positions have depth d or more; they are the first ones */
    unsigned deep[BOUND_MAX_LENGTH + 4] = {0};
    unsigned d = 1, c = class_count - 1;
    deep[1] = position - 1;
    tree->swaps = 0;
    unsigned swap_weight[MAX_SWAPS];
    while (deep[d]) {
        while (classes[c].position > deep[d]) c--;
        unsigned offset = deep[d] - classes[c].position, internal = classes[c].internal_before;
        if (offset > classes[c].leaves) {
            const node_class *m = &nodes[classes[c].nodes];
            unsigned j = offset - classes[c].leaves, start = 0;
            internal += j;
            if (j < m->count) {
                const node_group *g = m->group;
                for (; g->end <= j; g++) start = g->end;
                if (g->mixed && start < j) {
                    unsigned odd = g->odd_height, even = g->even_height;
                    if (odd == IRREGULAR || even == IRREGULAR || tree->swaps == MAX_SWAPS) return 0;
                    leaf_move *move = tree->moves[tree->swaps];
                    swap_weight[tree->swaps++] = m->weight / 2u;
                    move[0] = (leaf_move){.from = (uint8_t)(d + 1 + odd),
                                          .to = (uint8_t)(d + odd),
                                          .height = (uint8_t)odd};
                    move[1] = (leaf_move){.from = (uint8_t)(d + even),
                                          .to = (uint8_t)(d + 1 + even),
                                          .height = (uint8_t)even};
                }
            }
        }
        if (d == BOUND_MAX_LENGTH - 1) return 0;
        deep[++d] = 2 * internal;
    }
    tree->at_depth[0] = 0;
    for (unsigned k = 1; k <= BOUND_MAX_LENGTH; k++)
        tree->at_depth[k] = (uint8_t)(deep[k] - 3 * deep[k + 1] / 2 + deep[k + 2] / 2);

    /* the lengths that the symbols of each frequency may have: of its first and last leaf */
    unsigned depth = 0;
    while (kind-- != 0) {
        unsigned first = leaf_position[kind], last = first + leaves[kind] - 1u;
        while (deep[depth + 1] > last) depth++;
        unsigned low = depth;
        while (deep[depth + 1] > first) depth++;
        tree->lengths[frequencies[kind]] = (uint16_t)((2u << depth) - (1u << low));
    }
    for (unsigned k = 0; k < tree->swaps; k++)
        for (int which = 0; which < 2; which++) {
            leaf_move move = tree->moves[k][which];
            if (move.to > BOUND_MAX_LENGTH) return 0;
            tree->lengths[swap_weight[k] >> move.height] |= (uint16_t)(1u << move.to);
        }
    return 1;
}

/* ------------------------------------------------------------------ distance tree, section 6 */

/* Cost and lengths of up to 6 codes: the tree is unique.  From 7 on the cost only. */
static unsigned bound_distance_tree(const uint8_t *frequency, uint32_t used, uint8_t *at_depth)
{
    uint16_t weight[2 * DISTANCE_CODES];
    uint8_t parent[2 * DISTANCE_CODES], depth[2 * DISTANCE_CODES];
    unsigned leaves = 0, cost = 0;
    for (; used; used &= used - 1) {
        unsigned f = frequency[__builtin_ctz(used)], k = leaves++;
        for (; k > 0 && weight[k - 1] > f; k--) weight[k] = weight[k - 1];
        weight[k] = (uint16_t)f;
    }
    if (leaves <= 2) {
        at_depth[1] += 2; /* if need be with forced codes */
        for (unsigned k = 0; k < leaves; k++) cost += weight[k];
        return cost;
    }
    unsigned leaf = 0, node = leaves;
    for (unsigned made = leaves; made < 2 * leaves - 1; made++) {
        unsigned sum = 0;
        for (int child = 0; child < 2; child++) {
            int leaf_next = leaf < leaves && (node == made || weight[leaf] <= weight[node]);
            unsigned take = leaf_next ? leaf++ : node++;
            sum += weight[take];
            parent[take] = (uint8_t)made;
        }
        weight[made] = (uint16_t)sum;
        cost += sum;
    }
    if (leaves > 6) return cost;
    depth[2 * leaves - 2] = 0;
    for (unsigned k = 2 * leaves - 2; k-- != 0;) {
        depth[k] = (uint8_t)(depth[parent[k]] + 1);
        if (k < leaves) at_depth[depth[k]]++;
    }
    return cost;
}

/* ------------------------------------------------------- the header, sections 7 and 8 */

/* Places for the symbols that could be replaced by code 16. */
enum { MAX_PLACES = 96 };

/* Frequencies up to this are counted side by side. */
enum { FEW = 6 };

typedef uint8_t bytes16 __attribute__((vector_size(16)));

static inline unsigned sum_bytes(bytes16 x)
{
    uint64_t half[2];
    memcpy(half, &x, 16);
    const uint64_t even = 0x00ff00ff00ff00ffu;
    uint64_t sum = (half[0] & even) + (half[0] >> 8 & even) + (half[1] & even) +
                   (half[1] >> 8 & even);
    return (unsigned)(sum * 0x0001000100010001u >> 48);
}

/* How many symbols have each frequency, ascending; 0 kinds if one is too high or there are too
 * many. */
static unsigned count_frequencies(const uint8_t *literal, uint8_t *frequencies, uint8_t *leaves)
{
    bytes16 count[FEW + 1] = {{0}};
    uint8_t many[BOUND_MAX_FREQUENCY + 1];
    unsigned kinds = 0, high = 0, total[BOUND_MAX_FREQUENCY + 1];
    uint64_t high_used = 0;
    for (unsigned k = 0; k < 288; k += 16) {
        bytes16 f;
        memcpy(&f, literal + k, 16);
        for (unsigned few = 1; few <= FEW; few++) count[few] -= (bytes16)(f == (uint8_t)few);
        uint64_t above[2];
        bytes16 is_above = (bytes16)(f > FEW);
        memcpy(above, &is_above, 16);
        if (above[0] | above[1])
            for (unsigned s = k; s < k + 16; s++) {
                many[high] = literal[s];
                high += literal[s] > FEW;
                if (high > BOUND_MAX_FREQUENCY) return 0;
            }
    }
    unsigned used = high;
    for (unsigned few = 1; few <= FEW; few++) {
        unsigned symbols = sum_bytes(count[few]);
        used += symbols;
        frequencies[kinds] = (uint8_t)few;
        leaves[kinds] = (uint8_t)symbols;
        kinds += symbols != 0;
    }
    if (used > BOUND_MAX_USED) return 0;
    for (unsigned k = 0; k < high; k++) {
        if (many[k] > BOUND_MAX_FREQUENCY) return 0;
        uint64_t bit = (uint64_t)1 << many[k];
        if (!(high_used & bit)) total[many[k]] = 0;
        high_used |= bit;
        total[many[k]]++;
    }
    for (; high_used; high_used &= high_used - 1) {
        frequencies[kinds] = (uint8_t)__builtin_ctzll(high_used);
        leaves[kinds] = (uint8_t)total[frequencies[kinds]];
        kinds++;
    }
    return kinds;
}

/* At most the bits of the header of a dynamic block (counts, bit-length code, code lengths):
 * at_depth[l] symbols have length l, at most fold[l] of them are replaced by code 16. */
static unsigned header_bits_below(const uint8_t *at_depth, const unsigned *fold,
                                  const zero_tokens *zero, const ft_deflate_work *w)
{
    /* place of each length in bit_length_order, plus 1 */
    static const uint8_t sent[BOUND_MAX_LENGTH + 1] = {4, 18, 16, 14, 12, 10, 8,
                                                       6, 5,  7,  9,  11, 13};
    unsigned total = zero->zeros + zero->code17 + zero->code18, lengths_sent = 4, repeats = 0;
    unsigned replaced[BOUND_MAX_LENGTH + 1];
    int64_t bits = 0; /* in 1/256 */

    for (unsigned l = 1; l <= BOUND_MAX_LENGTH; l++) {
        unsigned t = at_depth[l], r = fold[l];
        replaced[l] = 0;
        if (t == 0) continue;
        total += t;
        bits -= w->n_log_n[t] + LOG_SLACK;
        if (sent[l] > lengths_sent) lengths_sent = sent[l];
        if (r > t - 1) r = t - 1;
        if (r < 3) continue;
        replaced[l] = r;
        repeats += repeats_of(r);
    }
    bits += w->n_log_n[total];
    if (zero->zeros) bits -= w->n_log_n[zero->zeros] + LOG_SLACK;
    if (zero->code17) bits -= w->n_log_n[zero->code17] + LOG_SLACK;
    if (zero->code18) bits -= w->n_log_n[zero->code18] + LOG_SLACK;
    for (unsigned l = 1; repeats && l <= BOUND_MAX_LENGTH; l++)
        if (replaced[l]) bits -= saved_above(at_depth[l], replaced[l], total, repeats, w);
    if (bits < 0) bits = 0;
    return 14 + 3 * lengths_sent + 3 * zero->code17 + 7 * zero->code18 +
           (unsigned)((bits + 255) >> 8);
}

/* At most the bits of the dynamic block, without its 3 header bits; 0 if it cannot tell. */
static unsigned tree_bits_below(const ft_deflate_counts *c, const used_symbols *used,
                                const ft_deflate_work *w)
{
    uint8_t frequencies[BOUND_MAX_FREQUENCY + 1], leaves[BOUND_MAX_FREQUENCY + 1];
    unsigned kinds = count_frequencies(c->literal, frequencies, leaves);
    if (kinds == 0 || (kinds == 1 && leaves[0] < 2)) return 0;

    literal_tree literal;
    if (!bound_literal_tree(frequencies, leaves, kinds, &literal)) return 0;
    uint8_t *at_depth = literal.at_depth;
    uint8_t distance_at_depth[BOUND_MAX_LENGTH + 4] = {0};
    unsigned distance_cost =
        bound_distance_tree(c->distance, (uint32_t)used->distances_occurring, distance_at_depth);

    /* where code 16 could stand: the symbols of long enough runs, side by side */
    uint16_t may_have[MAX_PLACES + 4]; /* bit L: the symbol in this place may have length L */
    unsigned places = 0;
    uint64_t before = 0;
    for (int k = 0; k < 5; k++) {
        const uint64_t *bits = used->literal;
        uint64_t four = bits[k] & shift_down(bits, k, 1) & shift_down(bits, k, 2) &
                        shift_down(bits, k, 3);
        uint64_t starts = four & ~(four << 1 | before >> 63);
        before = four;
        for (; starts; starts &= starts - 1) {
            const uint8_t *f = c->literal + 64 * k + __builtin_ctzll(starts);
            for (; *f; f++) {
                if (places == MAX_PLACES) return 0;
                may_have[places++] = literal.lengths[*f];
            }
            if (places == MAX_PLACES) return 0;
            may_have[places++] = 0; /* separates the runs */
        }
    }
    unsigned distance_foldable = foldable(used->distance, 1);

    /* each swap may have happened or not: the least of all bounds holds */
    unsigned fold[BOUND_MAX_LENGTH + 1], least = UINT32_MAX;
    for (unsigned l = 1; l <= BOUND_MAX_LENGTH; l++) {
        fold[l] = distance_at_depth[l] >= 4 ? distance_foldable : 0;
        at_depth[l] = (uint8_t)(at_depth[l] + distance_at_depth[l]);
    }
    /* a run of r >= 4 has r - 3 windows of four: its r - 1 that can be replaced are 2 more */
    unsigned window_before = 0;
    for (unsigned k = 0; k + 3 < places; k++) {
        unsigned window = may_have[k] & may_have[k + 1] & may_have[k + 2] & may_have[k + 3];
        for (unsigned bits = window; bits; bits &= bits - 1) {
            unsigned l = (unsigned)__builtin_ctz(bits);
            fold[l] += window_before >> l & 1 ? 1 : 3;
        }
        window_before = window;
    }
    for (unsigned swapped = 0; swapped < 1u << literal.swaps; swapped++) {
        uint8_t t[BOUND_MAX_LENGTH + 1];
        memcpy(t, at_depth, sizeof t);
        for (unsigned k = 0; k < literal.swaps; k++)
            if (swapped >> k & 1)
                for (int which = 0; which < 2; which++) {
                    leaf_move move = literal.moves[k][which];
                    t[move.from] = (uint8_t)(t[move.from] - (1u << move.height));
                    t[move.to] = (uint8_t)(t[move.to] + (1u << move.height));
                }
        unsigned bits = header_bits_below(t, fold, &used->zero, w);
        if (bits < least) least = bits;
    }
    return literal.cost + distance_cost + c->extra_bits + least;
}
