/* SHA-256, HMAC-SHA256 and 007 signatures on every path of this machine against OpenSSL.
 *
 * Compile with all the kernels and -lcrypto.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "hmac.h"
#include "sha256.h"
#include "sign_check.h"

static void reference(const uint8_t *key, size_t key_size, const uint8_t *message, size_t n,
                      uint8_t mac[32]) {
    unsigned size;
    CHECK(HMAC(EVP_sha256(), key_size ? key : (const uint8_t *)"", (int)key_size,
               n ? message : (const uint8_t *)"", n, mac, &size));
}

/* Memory of exactly n bytes, so that the sanitizer sees a read past its end. */
static uint8_t *random_bytes(size_t n) {
    uint8_t *bytes = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)draw();
    if (n) return bytes;
    free(bytes);
    return NULL;
}

/* RFC 4231, cases 1 to 7 (5 truncates its output to 16 bytes). */
static void test_rfc4231(void) {
    static const struct {
        const char *key;
        size_t key_size;
        const char *message;
        size_t n;
        const char *mac;
    } cases[] = {
        {"\x0b", 20, "Hi There", 8,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", 0, "what do ya want for nothing?", 28,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"\xaa", 20, "\xdd", 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
         "\x17\x18\x19", 0, "\xcd", 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {"\x0c", 20, "Test With Truncation", 20, "a3b6167473100ee06e0c796c2955552b"},
        {"\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {"\xaa", 131,
         "This is a test using a larger than block-size key and a larger than block-size data. "
         "The key needs to be hashed before being used by the HMAC algorithm.", 152,
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t key[131], message[152], mac[32];
        size_t key_size = cases[i].key_size ? cases[i].key_size : strlen(cases[i].key);
        char hex[65];
        ft_hmac_key state;
        memset(key, cases[i].key[0], sizeof key);
        if (!cases[i].key_size) memcpy(key, cases[i].key, key_size);
        memset(message, cases[i].message[0], sizeof message);
        if (cases[i].message[1]) memcpy(message, cases[i].message, cases[i].n);
        ft_hmac_key_init(&state, key, key_size);
        ft_hmac(&state, message, cases[i].n, mac);
        for (int b = 0; b < 32; b++) sprintf(hex + 2 * b, "%02x", mac[b]);
        CHECK(strncmp(hex, cases[i].mac, strlen(cases[i].mac)) == 0);
        ft_hmac_key_wipe(&state);
        for (int w = 0; w < 8; w++) CHECK(state.inner[w] == 0 && state.outer[w] == 0);
    }
}

static void test_every_length(void) {
    for (size_t n = 0; n <= 300; n++) {
        uint8_t *secret = random_bytes(n), *message = random_bytes(300 - n), mac[32], right[32];
        ft_hmac_key key;
        ft_sha256(message, 300 - n, mac);
        CHECK(EVP_Digest(message ? message : (const uint8_t *)"", 300 - n, right, NULL,
                         EVP_sha256(), NULL));
        CHECK(memcmp(mac, right, 32) == 0);
        ft_hmac_key_init(&key, secret, n);
        ft_hmac(&key, message, 300 - n, mac);
        reference(secret, n, message, 300 - n, right);
        CHECK(memcmp(mac, right, 32) == 0);
        free(secret);
        free(message);
    }
}

/* Batches of any size: lengths all equal, mixed, or now and then very long. */
static void test_many(size_t count, size_t size, size_t spread, int outliers) {
    uint8_t **secrets = calloc(count + 1, sizeof *secrets);
    uint8_t **messages = calloc(count + 1, sizeof *messages);
    size_t *secret_sizes = calloc(count + 1, sizeof *secret_sizes);
    size_t *sizes = calloc(count + 1, sizeof *sizes);
    uint32_t *salts = calloc(count + 1, sizeof *salts);
    ft_hmac_key *keys = calloc(count + 1, sizeof *keys);
    uint8_t(*macs)[32] = calloc(count + 1, 32), right[32], key1[32], key2[32];
    for (size_t i = 0; i < count; i++) {
        secret_sizes[i] = draw() % (outliers ? 100 : 65);
        sizes[i] = size + draw() % (spread + 1);
        if (outliers && draw() % 16 == 0) sizes[i] = draw() % 6000;
        secrets[i] = random_bytes(secret_sizes[i]);
        messages[i] = random_bytes(sizes[i]);
        salts[i] = draw();
    }
    for (int i = 0; i < 32; i++) key1[i] = (uint8_t)draw();

    ft_hmac_key_init_many(keys, (const uint8_t *const *)secrets, secret_sizes, count);
    ft_hmac_many(keys, 1, (const uint8_t *const *)messages, sizes, macs, count);
    for (size_t i = 0; i < count; i++) {
        reference(secrets[i], secret_sizes[i], messages[i], sizes[i], right);
        CHECK(memcmp(macs[i], right, 32) == 0);
    }
    ft_hmac_many(keys, 0, (const uint8_t *const *)messages, sizes, macs, count);
    for (size_t i = 0; i < count; i++) {
        reference(secrets[0], secret_sizes[0], messages[i], sizes[i], right);
        CHECK(memcmp(macs[i], right, 32) == 0);
    }
    ft_sign_007_many(key1, salts, (const uint8_t *const *)messages, sizes, macs, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t salt[4] = {(uint8_t)salts[i], (uint8_t)(salts[i] >> 8), (uint8_t)(salts[i] >> 16),
                           (uint8_t)(salts[i] >> 24)};
        reference(salt, 4, key1, 32, key2);
        reference(key2, 32, messages[i], sizes[i], right);
        CHECK(memcmp(macs[i], right, 32) == 0);
    }
    for (int b = 0; b < 32; b++) CHECK(macs[count][b] == 0); /* nothing beyond the last row */
    for (size_t i = 0; i < count; i++) {
        free(secrets[i]);
        free(messages[i]);
    }
    free(secrets);
    free(messages);
    free(secret_sizes);
    free(sizes);
    free(salts);
    free(keys);
    free(macs);
}

/* Each group by itself, at every fill: a path may never use it on this machine, or not for so
 * few rows. */
static void test_group(const char *path, const ft_sha256_group *group) {
    if (!ft_cpu_self_test(path)) return; /* not on this machine */
    static _Alignas(64) uint8_t scratch[FT_SHA256_SCRATCH];
    for (int round = 0; round < 200; round++)
        for (size_t count = 1; count <= group->lanes; count++) {
            uint8_t *secrets[40], *messages[40], macs[40][32] = {{0}}, right[40][32] = {{0}};
            uint8_t key1[32];
            size_t secret_sizes[40], sizes[40], spread = 1 + draw() % 300;
            uint32_t salts[40], block[16] = {[8] = 0x80000000, [15] = 96 * 8}, rounds[64];
            uint16_t rows[16];
            ft_hmac_key keys[40];
            for (size_t i = 0; i < 40; i++) {
                secret_sizes[i] = draw() % (group->lanes == 1 ? 200 : 65);
                sizes[i] = draw() % spread;
                secrets[i] = random_bytes(secret_sizes[i]);
                messages[i] = random_bytes(sizes[i]);
                salts[i] = draw();
            }
            for (size_t i = 0; i < count; i++) rows[i] = (uint16_t)(draw() % 2 + 2 * i);
            for (int i = 0; i < 8; i++) {
                block[i] = draw();
                ft_store_be32(key1 + 4 * i, block[i]);
            }
            ft_sha256_schedule(block, rounds);
            group->key_init(scratch, keys, (const uint8_t *const *)secrets, secret_sizes, rows,
                            count);
            group->hmac(scratch, keys, 1, (const uint8_t *const *)messages, sizes, macs, rows,
                        count);
            for (size_t i = 0; i < count; i++)
                reference(secrets[rows[i]], secret_sizes[rows[i]], messages[rows[i]],
                          sizes[rows[i]], right[rows[i]]);
            CHECK(memcmp(macs, right, sizeof macs) == 0);
            group->sign_007(scratch, block, rounds, salts, (const uint8_t *const *)messages, sizes,
                            macs, rows, count);
            for (size_t i = 0; i < count; i++) {
                uint8_t salt[4], key2[32];
                for (int b = 0; b < 4; b++) salt[b] = (uint8_t)(salts[rows[i]] >> 8 * b);
                reference(salt, 4, key1, 32, key2);
                reference(key2, 32, messages[rows[i]], sizes[rows[i]], right[rows[i]]);
            }
            CHECK(memcmp(macs, right, sizeof macs) == 0); /* other rows are untouched */
            for (size_t i = 0; i < 40; i++) {
                free(secrets[i]);
                free(messages[i]);
            }
        }
}

static void test_groups(void) {
    test_group("portable", &ft_sha256_portable);
#if FT_X86
    test_group("shani", &ft_sha256_shani);
    test_group("shani", &ft_sha256_shani_x2);
    test_group("avx2", &ft_sha256_avx2_x8);
    test_group("avx512", &ft_sha256_avx512_x16);
#elif FT_ARMV8
    test_group("armv8", &ft_sha256_armv8);
#endif
}

static void test_selection(void) {
    char before[16];
    snprintf(before, sizeof before, "%s", ft_cpu_name());
    CHECK(ft_cpu_select("sse9") == 0);
    CHECK(ft_cpu_select("") == 0);
    CHECK(ft_cpu_self_test("sse9") == 0);
    CHECK(strcmp(ft_cpu_name(), before) == 0);
}

int main(void) {
    const char *const *path = ft_cpu_paths();
    CHECK(strcmp(ft_cpu_name(), "portable") == 0);
    CHECK(strcmp(*path, "portable") == 0);
    for (; *path; path++) {
        unsigned long before = checks;
        CHECK(ft_cpu_self_test(*path));
        CHECK(ft_cpu_select(*path));
        CHECK(strcmp(ft_cpu_name(), *path) == 0);
        test_selection();
        test_rfc4231();
        test_every_length();
        for (size_t count = 0; count <= 40; count++) {
            test_many(count, 122, 0, 0);
            test_many(count, 0, 200, 0);
            test_many(count, 90, 60, 1);
        }
        test_many(600, 100, 60, 0);
        test_many(600, 0, 300, 1);
        test_many(300, 4000, 200, 1); /* around the length from which rows go singly */
        printf("%s: %lu checks\n", *path, checks - before);
    }
    test_groups();
    CHECK(ft_cpu_select("auto"));
    CHECK(strcmp(ft_cpu_name(), path[-1]) == 0);
    return 0;
}
