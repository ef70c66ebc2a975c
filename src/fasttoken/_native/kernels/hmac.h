/* SHA-256 (FIPS 180-4), HMAC over it (RFC 2104) with the key's two states computed once, and the
 * signature of 007 tokens. Many messages at a time run side by side where the path can. */
#ifndef FT_HMAC_H
#define FT_HMAC_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

void ft_sha256(const uint8_t *message, size_t n, uint8_t digest[32]);

/* The hash states after the key's inner and outer pad block: as secret as the key. */
typedef struct {
    uint32_t inner[8], outer[8];
} ft_hmac_key;

void ft_hmac_key_init(ft_hmac_key *key, const uint8_t *secret, size_t n);
void ft_hmac_key_wipe(ft_hmac_key *key);
void ft_hmac(const ft_hmac_key *key, const uint8_t *message, size_t n, uint8_t mac[32]);

/* The same for `count` rows. Columns are read by row; key_stride 0 takes one key for all
 * rows, 1 a key for each. */
void ft_hmac_key_init_many(ft_hmac_key *keys, const uint8_t *const *secrets, const size_t *n,
                           size_t count);
void ft_hmac_many(const ft_hmac_key *keys, size_t key_stride, const uint8_t *const *messages,
                  const size_t *n, uint8_t (*macs)[32], size_t count);

/* Signatures of 007 bodies that share an issue timestamp and a certificate:
 * key1 = HMAC(key u32(issue timestamp), certificate) comes from the caller, and row by row
 * key2 = HMAC(key u32(salt), key1), mac = HMAC(key2, body). Integers are little-endian. */
void ft_sign_007_many(const uint8_t key1[32], const uint32_t *salts, const uint8_t *const *bodies,
                      const size_t *n, uint8_t (*macs)[32], size_t count);

/* Overwrites memory in a way the compiler may not drop. */
void ft_wipe(void *memory, size_t n);

/* Known answers on one path: 1 good, 0 wrong. */
int ft_hmac_self_test(const ft_cpu_path *path);

#endif
