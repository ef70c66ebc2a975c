#include "crc32.h"

/* table[k][b]: what byte b, k bytes before the end, adds to the register. Linear in the bits
 * of b, so eight words (for 0x80, 0x40, .. 0x01) give the 256: 0xedb88320 and its successors,
 * each the one before times x. */
#define E(b, p, q, r, s, t, u, v, w)                                                              \
    ((b) & 128 ? p : 0) ^ ((b) & 64 ? q : 0) ^ ((b) & 32 ? r : 0) ^ ((b) & 16 ? s : 0) ^          \
        ((b) & 8 ? t : 0) ^ ((b) & 4 ? u : 0) ^ ((b) & 2 ? v : 0) ^ ((b) & 1 ? w : 0)
#define E4(b, ...)                                                                                \
    E(b, __VA_ARGS__), E(b + 1, __VA_ARGS__), E(b + 2, __VA_ARGS__), E(b + 3, __VA_ARGS__)
#define E16(b, ...)                                                                               \
    E4(b, __VA_ARGS__), E4(b + 4, __VA_ARGS__), E4(b + 8, __VA_ARGS__), E4(b + 12, __VA_ARGS__)
#define E64(b, ...)                                                                               \
    E16(b, __VA_ARGS__), E16(b + 16, __VA_ARGS__), E16(b + 32, __VA_ARGS__),                      \
        E16(b + 48, __VA_ARGS__)
#define TABLE(...)                                                                                \
    {E64(0, __VA_ARGS__), E64(64, __VA_ARGS__), E64(128, __VA_ARGS__), E64(192, __VA_ARGS__)}
static const uint32_t table[8][256] = {
    TABLE(0xedb88320, 0x76dc4190, 0x3b6e20c8, 0x1db71064, 0x0edb8832, 0x076dc419,
          0xee0e612c, 0x77073096),
    TABLE(0x3b83984b, 0xf0794f05, 0x958424a2, 0x4ac21251, 0xc8d98a08, 0x646cc504,
          0x32366282, 0x191b3141),
    TABLE(0xe1351b80, 0x709a8dc0, 0x384d46e0, 0x1c26a370, 0x0e1351b8, 0x0709a8dc,
          0x0384d46e, 0x01c26a37),
    TABLE(0xed59b63b, 0x9b14583d, 0xa032af3e, 0x5019579f, 0xc5b428ef, 0x8f629757,
          0xaa09c88b, 0xb8bc6765),
    TABLE(0xb1e6b092, 0x58f35849, 0xc1c12f04, 0x60e09782, 0x30704bc1, 0xf580a6c0,
          0x7ac05360, 0x3d6029b0),
    TABLE(0x1eb014d8, 0x0f580a6c, 0x07ac0536, 0x03d6029b, 0xec53826d, 0x9b914216,
          0x4dc8a10b, 0xcb5cd3a5),
    TABLE(0x8816eaf2, 0x440b7579, 0xcfbd399c, 0x67de9cce, 0x33ef4e67, 0xf44f2413,
          0x979f1129, 0xa6770bb4),
    TABLE(0x533b85da, 0x299dc2ed, 0xf9766256, 0x7cbb312b, 0xd3e51bb5, 0x844a0efa,
          0x4225077d, 0xccaa009e)};

static inline uint32_t load_le32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t ft_crc32_portable(uint32_t crc, const uint8_t *in, size_t n) {
    for (; n >= 8; n -= 8, in += 8) {
        uint32_t a = crc ^ load_le32(in), b = load_le32(in + 4);
        crc = table[7][a & 255] ^ table[6][a >> 8 & 255] ^ table[5][a >> 16 & 255] ^
              table[4][a >> 24] ^ table[3][b & 255] ^ table[2][b >> 8 & 255] ^
              table[1][b >> 16 & 255] ^ table[0][b >> 24];
    }
    for (; n; n--, in++) crc = crc >> 8 ^ table[0][(crc ^ *in) & 255];
    return crc;
}

#if FT_ARMV8
#include <arm_acle.h>
#include <string.h>

#if defined(__clang__)
FT_TARGET("crc")
#else
FT_TARGET("+crc")
#endif
uint32_t ft_crc32_armv8(uint32_t crc, const uint8_t *in, size_t n) {
    for (; n >= 8; n -= 8, in += 8) {
        uint64_t eight;
        memcpy(&eight, in, 8);
        crc = __crc32d(crc, eight);
    }
    for (; n; n--, in++) crc = __crc32b(crc, *in);
    return crc;
}
#endif

uint32_t ft_crc32(const uint8_t *in, size_t n) {
    return ~ft_cpu_current()->crc32(0xffffffff, in, n);
}

/* The CRC of the CRCs of every prefix of 100 bytes is known. */
int ft_crc32_self_test(const ft_cpu_path *path) {
    uint8_t bytes[100], crcs[400];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n < sizeof bytes; n++) {
        uint32_t crc = ~path->crc32(0xffffffff, bytes, n);
        for (int i = 0; i < 4; i++) crcs[4 * n + i] = (uint8_t)(crc >> 8 * i);
    }
    return ~path->crc32(0xffffffff, crcs, sizeof crcs) == 0xfca70d15 &&
           ~path->crc32(0xffffffff, (const uint8_t *)"123456789", 9) == 0xcbf43926;
}
