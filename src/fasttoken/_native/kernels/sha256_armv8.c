/* SHA-256 with the ARMv8 SHA-2 instructions. */
#include "sha256.h"

#if FT_ARMV8
#include <arm_neon.h>

#if defined(__clang__)
#define LANE_FN static FT_TARGET("sha2")
#else
#define LANE_FN static FT_TARGET("+crypto")
#endif

LANE_FN void compress(uint32_t *state, const uint32_t *block) {
    const uint32x4_t abcd_start = vld1q_u32(state), efgh_start = vld1q_u32(state + 4);
    uint32x4_t abcd = abcd_start, efgh = efgh_start, w[4];
    for (int i = 0; i < 4; i++) w[i] = vld1q_u32(block + 4 * i);
    for (int t = 0; t < 64; t += 16)
        for (int i = 0; i < 4; i++) {
            uint32x4_t wk = vaddq_u32(w[i], vld1q_u32(ft_sha256_k + t + 4 * i)), before = abcd;
            abcd = vsha256hq_u32(abcd, efgh, wk);
            efgh = vsha256h2q_u32(efgh, before, wk);
            if (t < 48)
                w[i] = vsha256su1q_u32(vsha256su0q_u32(w[i], w[(i + 1) & 3]), w[(i + 2) & 3],
                                       w[(i + 3) & 3]);
        }
    vst1q_u32(state, vaddq_u32(abcd, abcd_start));
    vst1q_u32(state + 4, vaddq_u32(efgh, efgh_start));
}

LANE_FN inline void load_blocks(uint32_t *words, const uint8_t *const *blocks) {
    for (int i = 0; i < 64; i += 16)
        vst1q_u32(words + i / 4, vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks[0] + i))));
}

LANE_FN inline void copy_tail(uint8_t *out, const uint8_t *in, size_t n, uint8_t end) {
    memset(out, 0, 64);
    if (n) memcpy(out, in, n);
    out[n] = end;
}

#define LANES 1
#define WORTH 1
#define GROUP ft_sha256_armv8
#include "sha256_lanes.h"
#endif
