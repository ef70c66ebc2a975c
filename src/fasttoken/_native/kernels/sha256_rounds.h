/* The SHA-256 compression, for as many lanes as a vector has. Included by a file that defines
 * LANES, LANE_FN (storage class and target), VECTOR and the operations
 *   V_LOAD(p) V_STORE(p, v) V_SET(word) V_ADD(a, b) V_ROTR(v, n) V_SHR(v, n)
 *   V_XOR3(a, b, c) V_CH(e, f, g) V_MAJ(a, b, c)
 * Defines compress() and compress_rounds(). */

#define BIG_SIGMA0(x) V_XOR3(V_ROTR(x, 2), V_ROTR(x, 13), V_ROTR(x, 22))
#define BIG_SIGMA1(x) V_XOR3(V_ROTR(x, 6), V_ROTR(x, 11), V_ROTR(x, 25))
#define SMALL_SIGMA0(x) V_XOR3(V_ROTR(x, 7), V_ROTR(x, 18), V_SHR(x, 3))
#define SMALL_SIGMA1(x) V_XOR3(V_ROTR(x, 17), V_ROTR(x, 19), V_SHR(x, 10))

#define ROUND(a, b, c, d, e, f, g, h, wk)                                                         \
    do {                                                                                          \
        VECTOR sum = V_ADD(V_ADD(h, wk), V_ADD(BIG_SIGMA1(e), V_CH(e, f, g)));                    \
        d = V_ADD(d, sum);                                                                        \
        h = V_ADD(sum, V_ADD(BIG_SIGMA0(a), V_MAJ(a, b, c)));                                     \
    } while (0)

/* Sixteen rounds bring the eight variables back to their places twice. */
#define SIXTEEN_ROUNDS(WK)                                                                        \
    do {                                                                                          \
        ROUND(a, b, c, d, e, f, g, h, WK(0));                                                     \
        ROUND(h, a, b, c, d, e, f, g, WK(1));                                                     \
        ROUND(g, h, a, b, c, d, e, f, WK(2));                                                     \
        ROUND(f, g, h, a, b, c, d, e, WK(3));                                                     \
        ROUND(e, f, g, h, a, b, c, d, WK(4));                                                     \
        ROUND(d, e, f, g, h, a, b, c, WK(5));                                                     \
        ROUND(c, d, e, f, g, h, a, b, WK(6));                                                     \
        ROUND(b, c, d, e, f, g, h, a, WK(7));                                                     \
        ROUND(a, b, c, d, e, f, g, h, WK(8));                                                     \
        ROUND(h, a, b, c, d, e, f, g, WK(9));                                                     \
        ROUND(g, h, a, b, c, d, e, f, WK(10));                                                    \
        ROUND(f, g, h, a, b, c, d, e, WK(11));                                                    \
        ROUND(e, f, g, h, a, b, c, d, WK(12));                                                    \
        ROUND(d, e, f, g, h, a, b, c, WK(13));                                                    \
        ROUND(c, d, e, f, g, h, a, b, WK(14));                                                    \
        ROUND(b, c, d, e, f, g, h, a, WK(15));                                                    \
    } while (0)

#define LOAD_STATE                                                                                \
    VECTOR a = V_LOAD(state), b = V_LOAD(state + LANES), c = V_LOAD(state + 2 * LANES),           \
           d = V_LOAD(state + 3 * LANES), e = V_LOAD(state + 4 * LANES),                          \
           f = V_LOAD(state + 5 * LANES), g = V_LOAD(state + 6 * LANES),                          \
           h = V_LOAD(state + 7 * LANES)

#define ADD_STATE_WORD(i, x) V_STORE(state + (i) * LANES, V_ADD(x, V_LOAD(state + (i) * LANES)))
#define ADD_STATE                                                                                 \
    do {                                                                                          \
        ADD_STATE_WORD(0, a);                                                                     \
        ADD_STATE_WORD(1, b);                                                                     \
        ADD_STATE_WORD(2, c);                                                                     \
        ADD_STATE_WORD(3, d);                                                                     \
        ADD_STATE_WORD(4, e);                                                                     \
        ADD_STATE_WORD(5, f);                                                                     \
        ADD_STATE_WORD(6, g);                                                                     \
        ADD_STATE_WORD(7, h);                                                                     \
    } while (0)

#define WK_FIRST(i) V_ADD(w[i], V_SET(ft_sha256_k[i]))
#define WK_NEXT(i)                                                                                \
    V_ADD((w[i] = V_ADD(V_ADD(w[i], SMALL_SIGMA0(w[((i) + 1) & 15])),                             \
                        V_ADD(w[((i) + 9) & 15], SMALL_SIGMA1(w[((i) + 14) & 15])))),             \
          V_SET(ft_sha256_k[t + (i)]))
#define WK_READY(i) V_SET(rounds[t + (i)])

LANE_FN void compress(uint32_t *state, const uint32_t *block) {
    LOAD_STATE;
    VECTOR w[16];
    for (int i = 0; i < 16; i++) w[i] = V_LOAD(block + i * LANES);
    SIXTEEN_ROUNDS(WK_FIRST);
    for (int t = 16; t < 64; t += 16) SIXTEEN_ROUNDS(WK_NEXT);
    ADD_STATE;
}

#if LANES > 1
/* The same block for every lane, its schedule ready. */
LANE_FN void compress_rounds(uint32_t *state, const uint32_t *rounds) {
    LOAD_STATE;
    for (int t = 0; t < 64; t += 16) SIXTEEN_ROUNDS(WK_READY);
    ADD_STATE;
}
#endif
