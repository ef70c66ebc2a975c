/* The exact size of the dynamic block for many payloads side by side: payload i has lane i of
 * every vector.  docs/deflate.md, section "Lanes", explains why this equals zlib's heap.
 * Included by deflate_encoder.h only.
 *
 *     LANE_BYTES      size of a vector: as many payloads at a time
 *     LANE_WHOLE(x)   keeps the compiler from storing x by a mask, from which no load can be
 *                     forwarded, instead of whole */

enum {
    LANE_PAD = 0x7fff, /* above all keys, which are frequency << 4 | depth */
    LANE_ADJACENT = 128
};

/* A vector of bytes has all payloads, a vector of 16-bit numbers half of them. */
typedef uint8_t lane_bytes __attribute__((vector_size(LANE_BYTES), aligned(1), may_alias));
typedef uint8_t lane_half_bytes __attribute__((vector_size(LANE_BYTES / 2), aligned(1), may_alias));
typedef int16_t lane_words __attribute__((vector_size(LANE_BYTES), aligned(1), may_alias));
typedef uint16_t lane_counts __attribute__((vector_size(LANE_BYTES), aligned(1), may_alias));
#define HALF (LANE_BYTES / 2)

#define WORDS_AT(p) (*(lane_words *)(void *)(p))
#define BYTES_AT(p) (*(lane_bytes *)(void *)(p))
#define ROW(array, slot) ((array) + (slot) * FT_DEFLATE_LANES)
/* mask ? a : b for masks of all ones or zeros */
#define CHOOSE(mask, a, b) (((a) & (mask)) | ((b) & ~(mask)))

/* Half the lanes' bytes at p, made 16-bit. */
static inline lane_words lane_widen(const uint8_t *p)
{
    return __builtin_convertvector(*(const lane_half_bytes *)(const void *)p, lane_words);
}

static inline void lane_narrow(uint8_t *p, lane_words x)
{
    *(lane_half_bytes *)(void *)p = __builtin_convertvector((lane_counts)x, lane_half_bytes);
}

/* zlib's sift of `entry` from slot `root` in heaps of `size` slots; row s of `key` is slot s of
 * all lanes.  Slots behind a lane's own heap hold LANE_PAD, below which no entry sinks.  The
 * slots in which the entries land go to `landing`.  Both halves of the lanes side by side:
 * each level has to wait for the one before, so there is time for two. */
static inline void lane_sift(int16_t *key, unsigned root, const lane_words *entry,
                             unsigned size, uint8_t *landing)
{
    const lane_words zero = {0};
    lane_words at[2], landed[2]; /* the lane's slot, 0 once it has landed */
    for (int h = 0; h < 2; h++) at[h] = zero + (int16_t)root, landed[h] = zero;
    for (unsigned first = root, width = 1; first <= size; first *= 2, width *= 2) {
        const unsigned end = first + width <= size + 1 ? first + width : size + 1;
        lane_words left[2], right[2], value[2];
        for (int h = 0; h < 2; h++) left[h] = right[h] = zero + LANE_PAD;
        for (unsigned s = first; s < end && 2 * s <= size; s++)
            for (int h = 0; h < 2; h++) {
                lane_words elsewhere = (lane_words)(at[h] != (int16_t)s);
                left[h] &= WORDS_AT(ROW(key, 2 * s) + h * HALF) | elsewhere;
                right[h] &= WORDS_AT(ROW(key, 2 * s + 1) + h * HALF) | elsewhere;
            }
        lane_words next[2];
        for (int h = 0; h < 2; h++) {
            lane_words go_right = (lane_words)(right[h] <= left[h]);
            lane_words child = CHOOSE(go_right, right[h], left[h]);
            lane_words move = (lane_words)(child < entry[h]);
            value[h] = CHOOSE(move, child, entry[h]);
            landed[h] |= at[h] & ~move;
            next[h] = (at[h] + at[h] - go_right) & move;
        }
        for (unsigned s = first; s < end; s++)
            for (int h = 0; h < 2; h++) {
                lane_words here = (lane_words)(at[h] == (int16_t)s);
                lane_words stays = CHOOSE(here, value[h], WORDS_AT(ROW(key, s) + h * HALF));
                LANE_WHOLE(stays);
                WORDS_AT(ROW(key, s) + h * HALF) = stays;
            }
        for (int h = 0; h < 2; h++) at[h] = next[h];
    }
    for (int h = 0; h < 2; h++) lane_narrow(landing + h * HALF, landed[h]);
}

/* The sum of two keys: frequencies added, one level above the deeper one. */
static inline lane_words lane_merge(lane_words a, lane_words b, lane_words *frequency)
{
    lane_words depth_a = a & 15, depth_b = b & 15;
    lane_words deeper = CHOOSE((lane_words)(depth_a > depth_b), depth_a, depth_b);
    lane_counts sum = (lane_counts)(a - depth_a) + (lane_counts)(b - depth_b);
    *frequency = (lane_words)(sum >> 4);
    return (lane_words)(sum + (lane_counts)deeper + 1);
}

/* Unpacks the symbols of the trees into heap entries, and pads. */
static void fill_heaps(const uint8_t *symbols, const uint8_t *used8,
                       unsigned most, int16_t *key)
{
    const lane_words zero = {0};
    lane_words used[2];
    for (int h = 0; h < 2; h++) used[h] = lane_widen(used8 + h * HALF);
    for (unsigned s = 1; s <= most + 1; s++)
        for (int h = 0; h < 2; h++) {
            lane_words frequency = lane_widen(ROW(symbols, s) + h * HALF) & 127;
            lane_words there = (lane_words)(used[h] >= (int16_t)s);
            WORDS_AT(ROW(key, s) + h * HALF) = CHOOSE(there, frequency << 4, zero + LANE_PAD);
        }
}

/* Takes the heaps down as zlib does.  Lane i has used[i] entries, `most` is their maximum: all
 * lanes go from there down to 2, each takes part from its own size on.  Records all landings;
 * `cost` is the sum of frequency x length. */
static void take_down(int16_t *key, const uint8_t *used8, unsigned most,
                      uint8_t *landing, int16_t *cost)
{
    const lane_words zero = {0};
    lane_words used[2], total[2], entry[2], a[2], takes_part[2], frequency;
    for (int h = 0; h < 2; h++) used[h] = lane_widen(used8 + h * HALF), total[h] = zero;
    for (unsigned root = most / 2; root != 0; root--, landing += FT_DEFLATE_LANES) {
        for (int h = 0; h < 2; h++) entry[h] = WORDS_AT(ROW(key, root) + h * HALF);
        lane_sift(key, root, entry, most, landing);
    }
    for (unsigned size = most; size >= 2; size--) {
        for (int h = 0; h < 2; h++) {
            int16_t *last = ROW(key, size) + h * HALF;
            takes_part[h] = (lane_words)(used[h] >= (int16_t)size);
            a[h] = WORDS_AT(ROW(key, 1) + h * HALF);
            entry[h] = CHOOSE(takes_part[h], WORDS_AT(last), a[h]);
            WORDS_AT(last) = zero + LANE_PAD;
        }
        lane_sift(key, 1, entry, size - 1, landing);
        landing += FT_DEFLATE_LANES;
        for (int h = 0; h < 2; h++) {
            lane_words b = WORDS_AT(ROW(key, 1) + h * HALF);
            lane_words parent = lane_merge(a[h], b, &frequency);
            total[h] += frequency & takes_part[h];
            entry[h] = CHOOSE(takes_part[h], parent, b);
        }
        lane_sift(key, 1, entry, size - 1, landing);
        landing += FT_DEFLATE_LANES;
    }
    for (int h = 0; h < 2; h++) WORDS_AT(cost + h * HALF) = total[h];
}

/* Undoes one sift on the depths: what lies at `landing` goes back to `root`, what lies on the
 * path between them goes down a slot.  Returns what lay at `landing`; does not write `root`. */
static inline lane_bytes lane_undo(uint8_t *depth, unsigned root,
                                   const uint8_t *landing_row, unsigned size)
{
    const lane_bytes landing = BYTES_AT(landing_row);
    lane_bytes at = landing;
    lane_bytes moved = BYTES_AT(ROW(depth, root)) & (lane_bytes)(landing == (uint8_t)root);
    unsigned first = root, width = 1;
    for (; 2 * first <= size; first *= 2) width *= 2;
    for (; first > root; first /= 2, width /= 2) {
        unsigned end = first + width <= size + 1 ? first + width : size + 1;
        for (unsigned s = end - 1; s >= first; s--) {
            lane_bytes old = BYTES_AT(ROW(depth, s));
            moved |= old & (lane_bytes)(landing == (uint8_t)s);
            lane_bytes here = (lane_bytes)(at == (uint8_t)s);
            BYTES_AT(ROW(depth, s)) = CHOOSE(here, BYTES_AT(ROW(depth, s / 2)), old);
        }
        at = CHOOSE((lane_bytes)(at >= (uint8_t)first), at >> 1, at);
    }
    return moved;
}

/* From the root, whose depth is 0, back to the depths of the leaves in the order of their
 * symbols: every step of take_down undone, the last first. */
static void build_up(uint8_t *depth, const uint8_t *used_row, unsigned most,
                     const uint8_t *landing)
{
    const lane_bytes used = BYTES_AT(used_row);
    landing = ROW(landing, most / 2 + 2 * (most - 1));
    BYTES_AT(ROW(depth, 1)) = used - used;
    for (unsigned size = 2; size <= most; size++) {
        lane_bytes takes_part = (lane_bytes)(used >= (uint8_t)size);
        landing -= FT_DEFLATE_LANES;
        lane_bytes parent = lane_undo(depth, 1, landing, size - 1);
        /* both children lay in slot 1 when they were taken */
        BYTES_AT(ROW(depth, 1)) = parent + (takes_part & 1);
        landing -= FT_DEFLATE_LANES;
        BYTES_AT(ROW(depth, size)) = lane_undo(depth, 1, landing, size - 1);
    }
    for (unsigned root = 1; root <= most / 2; root++) {
        landing -= FT_DEFLATE_LANES;
        BYTES_AT(ROW(depth, root)) = lane_undo(depth, root, landing, most);
    }
}

/* Runs the lengths of one tree through the run-length code, counting its symbols. */
static void count_lengths(const uint8_t *depth, const uint8_t *symbols,
                          const uint8_t *used_row, unsigned most,
                          uint8_t *count)
{
    const lane_bytes used = BYTES_AT(used_row), zero = used - used;
    lane_bytes run = zero, before = zero, repeats = zero;
    for (unsigned s = 1; s <= most; s++) {
        lane_bytes length = BYTES_AT(ROW(depth, s)), there = (lane_bytes)(used >= (uint8_t)s);
        lane_bytes adjacent = (lane_bytes)(BYTES_AT(ROW(symbols, s)) >= LANE_ADJACENT);
        lane_bytes same = (lane_bytes)(length == before) & adjacent;
        /* 1 to 7 symbols, then the 8th stands as the 2nd: a repeat is at most 6 */
        run = CHOOSE((lane_bytes)(run == 7), zero + 1, run);
        run = (run & same) + 1;
        /* three are sent as they are; with the fourth, two of them turn into a repeat */
        lane_bytes fourth = (lane_bytes)(run == 4) & there;
        lane_bytes change = ((lane_bytes)(run <= 3) & there & 1) - (fourth & 2);
        repeats += fourth & 1;
        for (unsigned l = 1; l < 16; l++)
            BYTES_AT(ROW(count, l)) += change & (lane_bytes)(length == (uint8_t)l);
        before = length;
    }
    BYTES_AT(ROW(count, 16)) += repeats;
}

/* Cost of the whole header with the bit-length tree over count[0..18], for one half of the
 * lanes; -1 where that tree is deeper than its 7 bits.  The cost of a Huffman tree and the
 * depth that zlib gives it depend on no order among equal keys: the two least are enough. */
static void header_cost(const uint8_t *count, int16_t *header)
{
    const lane_words zero = {0};
    lane_words key[BIT_LENGTH_CODES], sent = zero + 4, cost = zero + 14, frequency;
    for (unsigned k = 0; k < BIT_LENGTH_CODES; k++) {
        unsigned symbol = bit_length_order[k];
        lane_words n = lane_widen(ROW(count, symbol)), none = (lane_words)(n == 0);
        if (k >= 4) sent = CHOOSE(none, sent, zero + (int16_t)(k + 1));
        cost += n * (int16_t)token_extra_bits(symbol);
        key[k] = CHOOSE(none, zero + LANE_PAD, n << 4);
    }
    for (unsigned least = 0; least < BIT_LENGTH_CODES - 1; least++) {
        for (unsigned pick = least; pick < least + 2; pick++)
            for (unsigned k = BIT_LENGTH_CODES - 1; k > pick; k--) {
                lane_words swap = (lane_words)(key[k] < key[k - 1]);
                lane_words low = CHOOSE(swap, key[k], key[k - 1]);
                key[k] = CHOOSE(swap, key[k - 1], key[k]);
                key[k - 1] = low;
            }
        lane_words a = key[least], b = key[least + 1], done = (lane_words)(b == LANE_PAD);
        lane_words parent = lane_merge(a, b, &frequency);
        cost += frequency & ~done;
        key[least + 1] = CHOOSE(done, a, parent);
    }
    cost += sent + sent + sent;
    WORDS_AT(header) = cost | (lane_words)((key[BIT_LENGTH_CODES - 1] & 15) > 7);
}

/* lanes->bits[i]: the dynamic block of lane i without its extra bits and its 3 header bits;
 * negative if this way cannot tell.  count[0], [17] and [18] are given. */
static void dynamic_sizes(ft_deflate_lanes *lanes, ft_deflate_heaps *heaps)
{
    int16_t cost[2][FT_DEFLATE_LANES], header[FT_DEFLATE_LANES];
    for (unsigned k = 1; k < 17; k++)
        BYTES_AT(lanes->count[k]) = BYTES_AT(lanes->count[0]) - BYTES_AT(lanes->count[0]);
    for (int tree = 0; tree < 2; tree++) {
        const uint8_t *used = tree ? lanes->distance_used : lanes->literal_used;
        const uint8_t *symbols = tree ? lanes->distance[0] : lanes->literal[0];
        unsigned most = 2;
        for (unsigned lane = 0; lane < LANE_BYTES; lane++)
            if (used[lane] > most) most = used[lane];
        fill_heaps(symbols, used, most, heaps->key[0]);
        take_down(heaps->key[0], used, most, heaps->landing[0], cost[tree]);
        build_up(heaps->depth[0], used, most, heaps->landing[0]);
        count_lengths(heaps->depth[0], symbols, used, most, lanes->count[0]);
    }
    for (unsigned half = 0; half < LANE_BYTES; half += HALF) {
        header_cost(lanes->count[0] + half, header + half);
        lane_words h = WORDS_AT(header + half);
        WORDS_AT(lanes->bits + half) =
            (WORDS_AT(cost[0] + half) + WORDS_AT(cost[1] + half) + h) | (lane_words)(h < 0);
    }
}
