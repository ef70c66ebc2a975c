/* Base64 with NEON: 48 bytes and 64 characters at a time, plain C for the rest. */
#include "base64.h"

#if FT_ARMV8
#include <arm_neon.h>

void ft_base64_encode_neon(const uint8_t *in, size_t n, char *out) {
    const uint8x16x4_t alphabet = vld1q_u8_x4((const uint8_t *)ft_base64_alphabet);
    const uint8x16_t six = vdupq_n_u8(63);
    for (; n >= 48; n -= 48, in += 48, out += 64) {
        uint8x16x3_t bytes = vld3q_u8(in);
        uint8x16x4_t text;
        text.val[0] = vshrq_n_u8(bytes.val[0], 2);
        text.val[1] = vandq_u8(vsliq_n_u8(vshrq_n_u8(bytes.val[1], 4), bytes.val[0], 4), six);
        text.val[2] = vandq_u8(vsliq_n_u8(vshrq_n_u8(bytes.val[2], 6), bytes.val[1], 2), six);
        text.val[3] = vandq_u8(bytes.val[2], six);
        for (int i = 0; i < 4; i++) text.val[i] = vqtbl4q_u8(alphabet, text.val[i]);
        vst4q_u8((uint8_t *)out, text);
    }
    ft_base64_encode_portable(in, n, out);
}

size_t ft_base64_decode_neon(const char *in, size_t n, uint8_t *out) {
    const uint8x16x4_t low = vld1q_u8_x4(ft_base64_values);
    const uint8x16x4_t high = vld1q_u8_x4(ft_base64_values + 64);
    size_t done = 0;
    for (; n - done >= 64; done += 64, out += 48) {
        uint8x16x4_t text = vld4q_u8((const uint8_t *)in + done), six;
        uint8x16_t fault = vdupq_n_u8(0);
        for (int i = 0; i < 4; i++) {
            uint8x16_t c = text.val[i];
            six.val[i] = vqtbx4q_u8(vqtbl4q_u8(low, c), high, vsubq_u8(c, vdupq_n_u8(64)));
            fault = vorrq_u8(fault, vorrq_u8(six.val[i], c));
        }
        if (vmaxvq_u8(fault) & 0x80) break;
        uint8x16x3_t bytes;
        bytes.val[0] = vsliq_n_u8(vshrq_n_u8(six.val[1], 4), six.val[0], 2);
        bytes.val[1] = vsliq_n_u8(vshrq_n_u8(six.val[2], 2), six.val[1], 4);
        bytes.val[2] = vsliq_n_u8(six.val[3], six.val[2], 6);
        vst3q_u8(out, bytes);
    }
    return done + ft_base64_decode_portable(in + done, n - done, out);
}
#endif
