/* A lower bound on the size of the dynamic block, without its trees: proof in docs/deflate.md,
 * whose names and section numbers this file follows.  Included by deflate.c only. */

/* What the bound is computed from: like symbol_counts, but bytes. */
typedef struct {
    uint8_t literal[320]; /* 286 symbols, the rest 0 */
    uint8_t distance[32];
    unsigned symbols;    /* sum of literal[], at most 255 */
    unsigned extra_bits; /* of all lengths and distances */
} small_counts;

enum {
    BOUND_MAX_SYMBOLS = 255, /* below Fibonacci's 377: no code is longer than 11 bits */
    BOUND_MAX_FREQUENCY = 63,
    BOUND_MAX_LENGTH = 12,
    BOUND_MAX_CLASSES = 128
};

/* ------------------------------------------------------------------ logarithms, section 6 */

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

/* Everything in 1/256 bit: n log2 n, rounded down; with LOG_SLACK added, rounded up. */
enum { LOG_SLACK = 2 };

static void bound_init(ft_deflate_work *w)
{
    for (uint32_t n = 1; n < FT_DEFLATE_LOGS; n++) {
        uint64_t log = log2_below(n);
        w->n_log_n[n] = (uint32_t)(n * log >> 16);
        w->log_above[n] = (uint16_t)((log + 2 + 0xffff) >> 16);
    }
}

/* ------------------------------------------------------------------ small helpers */

static inline unsigned popcount(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}

/* Bit k: is byte k not zero? */
static inline unsigned nonzero_bytes(uint64_t x)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    uint64_t high = (((x & low) + low) | x) & ~low;
    return (unsigned)((high >> 7) * 0x0102040810204080u >> 56);
}

/* The run-length tokens of the unused symbols: runs of 1 and 2 are single zeros, of 3 to 10
 * code 17, longer ones code 18 (one at least).  `used` has a bit per symbol, the last one set
 * is the last transmitted; words + 1 words are readable, the last one 0. */
typedef struct {
    unsigned zeros, code17, code18;
} zero_tokens;

static inline uint64_t shift_down(const uint64_t *x, int word, unsigned by)
{
    return x[word] >> by | x[word + 1] << (64 - by);
}

static zero_tokens count_zero_tokens(const uint64_t *used, int words)
{
    uint64_t run1[7], run2[7], run3[7], run4[7], run8[7], run11[7];
    zero_tokens t = {0, 0, 0};
    unsigned runs3 = 0, runs11 = 0, in_runs3 = 0, zeros = 0;
    int last = words - 1;
    while (used[last] == 0) last--;
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

/* ------------------------------------------------------------------ leaf-first tree, sections 2-4 */

/* Nodes of one weight: `leaves` leaves, then `nodes` internal nodes, in the order in which the
 * leaf-first two-queue algorithm takes them. */
typedef struct {
    uint16_t position, leaves, internal_before; /* index of the first; internal nodes before it */
    uint16_t made;                              /* index in made[] of the internal ones */
} weight_class;

/* Internal nodes of one weight, as they are made from the class of half the weight: first
 * `pairs` of two leaves, up to `first` those with the least deep internal nodes, then the rest. */
typedef struct {
    uint16_t weight, count;
    uint16_t pairs, first_end; /* group boundaries */
    uint16_t first;            /* size of the group of least depth */
    uint8_t mixed_first, mixed_rest; /* does a group begin with a node of unlike children? */
    uint8_t unclear, made_unclear;   /* groups not known; made from such a class */
} made_class;

typedef struct {
    unsigned cost;                             /* sum of frequency x length of any optimal tree */
    uint8_t at_depth[BOUND_MAX_LENGTH + 4];    /* leaves of each length */
    uint16_t lengths[BOUND_MAX_FREQUENCY + 1]; /* bit L: a symbol of this frequency may have length L */
} literal_tree;

static int bound_literal_tree(const uint8_t *frequencies, const uint8_t *leaves, unsigned kinds,
                              literal_tree *tree)
{
    weight_class classes[BOUND_MAX_CLASSES];
    made_class made[BOUND_MAX_CLASSES];
    unsigned class_count = 0, head = 0, tail = 1, kind = 0, carry = 0, position = 0, before = 0;
    unsigned cost = 0;
    made[0] = (made_class){.count = 0}; /* stands for "no internal nodes" */
    head = 1;

    for (;;) {
        unsigned w = UINT16_MAX;
        if (kind < kinds) w = frequencies[kind];
        if (head < tail && made[head].weight < w) w = made[head].weight;
        if (w == UINT16_MAX) break;
        if (class_count == BOUND_MAX_CLASSES || tail > BOUND_MAX_CLASSES - 2) return 0;
        unsigned a = 0, source = 0;
        if (kind < kinds && frequencies[kind] == w) a = leaves[kind++];
        if (head < tail && made[head].weight == w) source = head++;
        unsigned b = made[source].count, g = made[source].first, n = a + b;
        classes[class_count++] = (weight_class){(uint16_t)position, (uint16_t)a, (uint16_t)before,
                                                (uint16_t)source};
        position += n;
        before += b;
        if (carry) {
            made[tail++] = (made_class){.weight = (uint16_t)(carry + w), .count = 1, .first = 1};
            cost += carry + w;
            n--;
            if (a)
                a--;
            else if (g)
                g--;
        }
        unsigned half = n / 2;
        if (half) {
            unsigned pairs = a / 2, first_end = (a + g) / 2;
            int three_groups = pairs > 0 && first_end > pairs && half > first_end;
            made[tail++] = (made_class){.weight = (uint16_t)(2 * w),
                                        .count = (uint16_t)half,
                                        .pairs = (uint16_t)pairs,
                                        .first_end = (uint16_t)first_end,
                                        .first = (uint16_t)(pairs ? pairs : first_end),
                                        .mixed_first = (uint8_t)(a & 1),
                                        .mixed_rest = (uint8_t)((a + g) & 1),
                                        .unclear = (uint8_t)(made[source].unclear | three_groups),
                                        .made_unclear = made[source].unclear};
            cost += 2 * w * half;
        }
        carry = n & 1 ? w : 0;
    }
    tree->cost = cost;

    /* deep[d]: how many positions have depth d or more */
    unsigned deep[BOUND_MAX_LENGTH + 4] = {0};
    unsigned d = 1, c = class_count - 1;
    deep[1] = position - 1;
    while (deep[d]) {
        while (classes[c].position > deep[d]) c--;
        unsigned offset = deep[d] - classes[c].position, internal = classes[c].internal_before;
        if (offset > classes[c].leaves) {
            const made_class *m = &made[classes[c].made];
            unsigned j = offset - classes[c].leaves;
            internal += j;
            if (j < m->count) {
                if (m->made_unclear) return 0;
                if (m->mixed_first && m->pairs < j && j < m->first_end) return 0;
                if (m->mixed_rest && m->first_end < j) return 0;
            }
        }
        if (d == BOUND_MAX_LENGTH) return 0;
        deep[++d] = 2 * internal;
    }
    tree->at_depth[0] = 0;
    for (unsigned k = 1; k <= BOUND_MAX_LENGTH; k++)
        tree->at_depth[k] = (uint8_t)(deep[k] - 3 * deep[k + 1] / 2 + deep[k + 2] / 2);

    /* the lengths that the symbols of each frequency may have: of its first and last leaf */
    unsigned depth = 0;
    for (c = class_count; c-- != 0;) {
        if (classes[c].leaves == 0) continue;
        unsigned first = classes[c].position, last = first + classes[c].leaves - 1u;
        while (deep[depth + 1] > last) depth++;
        unsigned low = depth;
        while (deep[depth + 1] > first) depth++;
        tree->lengths[frequencies[--kind]] = (uint16_t)((2u << depth) - (1u << low));
    }
    return 1;
}

/* ------------------------------------------------------------------ distance tree, section 5 */

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
            unsigned take = leaf < leaves && (node == made || weight[leaf] <= weight[node]) ? leaf++ : node++;
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

/* ------------------------------------------------------------------ the bound */

/* Sum of (run - 1) over the runs of at least 4 bits. */
static inline unsigned foldable(uint64_t bits)
{
    uint64_t four = bits & bits >> 1;
    four &= four >> 2;
    return popcount(four) + 2 * popcount(four & ~(four << 1));
}

/* At most the bits of the dynamic block, without its 3 header bits; 0 if it cannot tell. */
static unsigned dynamic_bits_below(const small_counts *c, const ft_deflate_work *w)
{
    /* used symbols, and the frequencies of frequencies */
    uint64_t used[7] = {0}, distance_used[2] = {0};
    uint8_t with_frequency[BOUND_MAX_FREQUENCY + 1] = {0};
    uint64_t frequencies_used = 0;
    for (unsigned k = 0; k < 320; k += 8)
        used[k / 64] |= (uint64_t)nonzero_bytes(load64le(c->literal + k)) << k % 64;
    for (unsigned k = 0; k < 32; k += 8)
        distance_used[0] |= (uint64_t)nonzero_bytes(load64le(c->distance + k)) << k;
    for (unsigned k = 0; k < 5; k++)
        for (uint64_t bits = used[k]; bits; bits &= bits - 1) {
            unsigned f = c->literal[64 * k + (unsigned)__builtin_ctzll(bits)];
            if (f > BOUND_MAX_FREQUENCY) return 0;
            with_frequency[f]++;
            frequencies_used |= (uint64_t)1 << f;
        }
    uint8_t frequencies[BOUND_MAX_FREQUENCY + 1], leaves[BOUND_MAX_FREQUENCY + 1];
    unsigned kinds = 0;
    for (uint64_t bits = frequencies_used; bits; bits &= bits - 1) {
        unsigned f = (unsigned)__builtin_ctzll(bits);
        frequencies[kinds] = (uint8_t)f;
        leaves[kinds++] = with_frequency[f];
    }
    if (kinds == 1 && leaves[0] < 2) return 0;

    literal_tree literal;
    if (!bound_literal_tree(frequencies, leaves, kinds, &literal)) return 0;
    uint8_t *at_depth = literal.at_depth;
    uint8_t distance_at_depth[BOUND_MAX_LENGTH + 4] = {0};
    unsigned distance_cost =
        bound_distance_tree(c->distance, (uint32_t)distance_used[0], distance_at_depth);

    zero_tokens zero = count_zero_tokens(used, 5);
    uint64_t forced = distance_used[0];
    if (forced == 0)
        forced = 3;
    else if ((forced & (forced - 1)) == 0)
        forced |= forced == 1 ? 2 : forced == 2 ? 4 : 1;
    distance_used[0] = forced;
    zero_tokens distance_zero = count_zero_tokens(distance_used, 1);
    zero.zeros += distance_zero.zeros;
    zero.code17 += distance_zero.code17;
    zero.code18 += distance_zero.code18;

    /* where code 16 could stand: the symbols of long enough runs, side by side */
    uint64_t may_have[BOUND_MAX_LENGTH + 1] = {0}, before = 0;
    unsigned place = 0;
    for (int k = 0; k < 5; k++) {
        uint64_t four = used[k] & shift_down(used, k, 1) & shift_down(used, k, 2) &
                        shift_down(used, k, 3);
        uint64_t starts = four & ~(four << 1 | before >> 63);
        before = four;
        for (; starts; starts &= starts - 1) {
            unsigned s = 64 * (unsigned)k + (unsigned)__builtin_ctzll(starts);
            for (; c->literal[s]; s++, place++) {
                if (place >= 64) return 0;
                for (unsigned bits = literal.lengths[c->literal[s]]; bits; bits &= bits - 1)
                    may_have[__builtin_ctz(bits)] |= (uint64_t)1 << place;
            }
            place++; /* separates the runs */
        }
    }
    unsigned distance_foldable = foldable(distance_used[0]);

    unsigned total = zero.zeros + zero.code17 + zero.code18, most = 4, replaced[BOUND_MAX_LENGTH + 1];
    unsigned repeats = 0;
    static const uint8_t lengths_sent[BOUND_MAX_LENGTH + 1] = {4, 18, 16, 14, 12, 10, 8, 6, 5, 7, 9, 11, 13};
    int64_t bits256 = 0;
    for (unsigned l = 1; l <= BOUND_MAX_LENGTH; l++) {
        unsigned r = foldable(may_have[l]);
        if (distance_at_depth[l] >= 4) r += distance_foldable;
        at_depth[l] = (uint8_t)(at_depth[l] + distance_at_depth[l]);
        total += at_depth[l];
        if (at_depth[l]) {
            bits256 -= w->n_log_n[at_depth[l]] + LOG_SLACK;
            if (lengths_sent[l] > most) most = lengths_sent[l];
            if (r > at_depth[l] - 1u) r = at_depth[l] - 1u;
        }
        if (r < 3) r = 0;
        replaced[l] = r;
        if (r) repeats += r < 12 ? 1 : r / 6;
    }
    bits256 += w->n_log_n[total];
    if (zero.zeros) bits256 -= w->n_log_n[zero.zeros] + LOG_SLACK;
    if (zero.code17) bits256 -= w->n_log_n[zero.code17] + LOG_SLACK;
    if (zero.code18) bits256 -= w->n_log_n[zero.code18] + LOG_SLACK;
    if (repeats) {
        int64_t slope = w->log_above[total] + 370; /* log2 e < 370 / 256 */
        int64_t each = 512 - w->log_above[repeats];
        for (unsigned l = 1; l <= BOUND_MAX_LENGTH; l++) {
            int64_t r = replaced[l], t = at_depth[l];
            if (r == 0) continue;
            int64_t e = r < 12 ? 1 : r / 6;
            int64_t drop = slope * (r - e) - ((int64_t)w->n_log_n[t] - (w->n_log_n[t - r] + LOG_SLACK)) - each * e;
            if (drop > 0) bits256 -= drop;
        }
    }
    if (bits256 < 0) bits256 = 0;
    return literal.cost + distance_cost + c->extra_bits + 14 + 3 * most + 3 * zero.code17 +
           7 * zero.code18 + (unsigned)((bits256 + 255) >> 8);
}
