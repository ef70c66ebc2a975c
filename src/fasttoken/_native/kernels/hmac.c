#include "hmac.h"

#include "sha256.h"

/* Rows ordered at a time: short enough for the stack, long enough that groups are full. */
#define CHUNK 256
/* Messages longer than this many blocks go one at a time: their lengths differ too much. */
#define LONG 64

void ft_wipe(void *memory, size_t n) {
#if defined(__GNUC__)
    memset(memory, 0, n);
    __asm__ __volatile__("" : : "r"(memory) : "memory");
#else
    volatile uint8_t *p = memory;
    while (n--) *p++ = 0;
#endif
}

/* The order in which the rows of one chunk go through the groups of a path. */
typedef struct {
    const ft_cpu_path *path;
    uint16_t rows[CHUNK];
    size_t abreast; /* the first so many may run side by side, the others one at a time */
    size_t total, done;
    size_t scratch; /* most scratch used so far */
} plan;

/* Not an initialiser, which would clear all the rows. */
static void plan_path(plan *p, const ft_cpu_path *path) {
    p->path = path;
    p->scratch = 0;
}

static void plan_rows(plan *p, size_t count) {
    for (size_t i = 0; i < count; i++) p->rows[i] = (uint16_t)i;
    p->total = p->abreast = count;
    p->done = 0;
}

/* By number of blocks, so that neighbours end together. */
static void plan_messages(plan *p, const size_t *n, size_t count) {
    uint16_t start[LONG + 2] = {0};
    uint8_t blocks[CHUNK];
    size_t most = 0, least = LONG;
    plan_rows(p, count);
    if (count == 1) return;
    for (size_t i = 0; i < count; i++) {
        size_t b = n[i] < 64 * LONG - 8 ? (n[i] + 8) / 64 : LONG;
        blocks[i] = (uint8_t)b;
        start[b + 1]++;
        if (b > most) most = b;
        if (b < least) least = b;
    }
    if (most == LONG) p->abreast = count - start[LONG + 1];
    if (least == most) return;
    for (size_t b = least; b <= most; b++) start[b + 1] = (uint16_t)(start[b + 1] + start[b]);
    for (size_t i = 0; i < count; i++) p->rows[start[blocks[i]]++] = (uint16_t)i;
}

/* Secrets longer than a block, which must be hashed first, come last. */
static void plan_secrets(plan *p, const size_t *n, size_t count) {
    size_t front = 0, back = count;
    plan_rows(p, count);
    for (size_t i = 0; i < count; i++) {
        if (n[i] <= 64) p->rows[front++] = (uint16_t)i;
        else p->rows[--back] = (uint16_t)i;
    }
    p->abreast = front;
}

/* The next rows and the group to run them, or NULL when all are done. */
static const ft_sha256_group *plan_next(plan *p, const uint16_t **rows, size_t *count) {
    const ft_sha256_group *const *group = p->path->sha256;
    size_t left = (p->done < p->abreast ? p->abreast : p->total) - p->done;
    if (!left) return NULL;
    while (group[1] && (p->done >= p->abreast || left < group[0]->worth)) group++;
    *rows = p->rows + p->done;
    *count = left < group[0]->lanes ? left : group[0]->lanes;
    p->done += *count;
    if (p->scratch < group[0]->scratch) p->scratch = group[0]->scratch;
    return *group;
}

static void hash(const ft_cpu_path *path, const uint8_t *message, size_t n, uint8_t digest[32]) {
    _Alignas(64) uint8_t scratch[FT_SHA256_SCRATCH];
    const ft_sha256_group *const *group = path->sha256;
    while (group[1]) group++; /* the narrowest, which has one lane */
    (*group)->hash(scratch, message, n, digest);
    ft_wipe(scratch, (*group)->scratch);
}

static void key_init_many(const ft_cpu_path *path, ft_hmac_key *keys,
                          const uint8_t *const *secrets, const size_t *n, size_t count) {
    _Alignas(64) uint8_t scratch[FT_SHA256_SCRATCH];
    plan p;
    plan_path(&p, path);
    const ft_sha256_group *group;
    const uint16_t *rows;
    size_t size;
    for (size_t i = 0; i < count; i += CHUNK) {
        plan_secrets(&p, n + i, count - i < CHUNK ? count - i : CHUNK);
        while ((group = plan_next(&p, &rows, &size)))
            group->key_init(scratch, keys + i, secrets + i, n + i, rows, size);
    }
    ft_wipe(scratch, p.scratch);
}

static void hmac_many(const ft_cpu_path *path, const ft_hmac_key *keys, size_t key_stride,
                      const uint8_t *const *messages, const size_t *n, uint8_t (*macs)[32],
                      size_t count) {
    _Alignas(64) uint8_t scratch[FT_SHA256_SCRATCH];
    plan p;
    plan_path(&p, path);
    const ft_sha256_group *group;
    const uint16_t *rows;
    size_t size;
    for (size_t i = 0; i < count; i += CHUNK) {
        plan_messages(&p, n + i, count - i < CHUNK ? count - i : CHUNK);
        while ((group = plan_next(&p, &rows, &size)))
            group->hmac(scratch, keys + key_stride * i, key_stride, messages + i, n + i, macs + i,
                        rows, size);
    }
    ft_wipe(scratch, p.scratch);
}

static void sign_007_many(const ft_cpu_path *path, const uint8_t key1[32], const uint32_t *salts,
                          const uint8_t *const *bodies, const size_t *n, uint8_t (*macs)[32],
                          size_t count) {
    _Alignas(64) uint8_t scratch[FT_SHA256_SCRATCH];
    plan p;
    plan_path(&p, path);
    const ft_sha256_group *group;
    const uint16_t *rows;
    size_t size;
    uint32_t block[16] = {0}, rounds[64];
    for (int i = 0; i < 8; i++) block[i] = ft_load_be32(key1 + 4 * i);
    block[8] = 0x80000000;
    block[15] = (64 + 32) * 8;
    if (count > 1) ft_sha256_schedule(block, rounds);
    for (size_t i = 0; i < count; i += CHUNK) {
        plan_messages(&p, n + i, count - i < CHUNK ? count - i : CHUNK);
        while ((group = plan_next(&p, &rows, &size)))
            group->sign_007(scratch, block, rounds, salts + i, bodies + i, n + i, macs + i, rows,
                            size);
    }
    ft_wipe(scratch, p.scratch);
    ft_wipe(block, sizeof block);
    ft_wipe(rounds, sizeof rounds);
}

void ft_sha256(const uint8_t *message, size_t n, uint8_t digest[32]) {
    hash(ft_cpu_current(), message, n, digest);
}

void ft_hmac_key_init_many(ft_hmac_key *keys, const uint8_t *const *secrets, const size_t *n,
                           size_t count) {
    key_init_many(ft_cpu_current(), keys, secrets, n, count);
}

void ft_hmac_many(const ft_hmac_key *keys, size_t key_stride, const uint8_t *const *messages,
                  const size_t *n, uint8_t (*macs)[32], size_t count) {
    hmac_many(ft_cpu_current(), keys, key_stride, messages, n, macs, count);
}

void ft_sign_007_many(const uint8_t key1[32], const uint32_t *salts, const uint8_t *const *bodies,
                      const size_t *n, uint8_t (*macs)[32], size_t count) {
    sign_007_many(ft_cpu_current(), key1, salts, bodies, n, macs, count);
}

void ft_hmac_key_init(ft_hmac_key *key, const uint8_t *secret, size_t n) {
    ft_hmac_key_init_many(key, &secret, &n, 1);
}

void ft_hmac_key_wipe(ft_hmac_key *key) { ft_wipe(key, sizeof *key); }

void ft_hmac(const ft_hmac_key *key, const uint8_t *message, size_t n, uint8_t mac[32]) {
    ft_hmac_many(key, 0, &message, &n, (uint8_t(*)[32])mac, 1);
}

/* The hash, then every width, full and part filled, with secrets and messages of 0 to 200 bytes;
 * the MAC of all the hashes or MACs is known. Then RFC 4231, case 2, by itself. */
#define TEST_ROWS 37

static int known(const ft_cpu_path *path, uint8_t (*macs)[32], size_t rows,
                 const uint8_t answer[32]) {
    const uint8_t *message = macs[0];
    size_t n = 32 * rows;
    uint8_t mac[1][32];
    ft_hmac_key key;
    key_init_many(path, &key, &message, &(size_t){0}, 1);
    hmac_many(path, &key, 0, &message, &n, mac, 1);
    return memcmp(mac[0], answer, 32) == 0;
}

int ft_hmac_self_test(const ft_cpu_path *path) {
    static const uint8_t jefe[32] = {
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
        0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
        0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const uint8_t all_hashes[32] = {
        0xde, 0x85, 0x33, 0x9f, 0xfe, 0xd7, 0xfb, 0x24, 0xce, 0x29, 0xcc,
        0xb5, 0x1d, 0xc3, 0x37, 0xa5, 0xbb, 0x8c, 0x29, 0x21, 0x37, 0x44,
        0x9c, 0x93, 0xba, 0x7e, 0x61, 0xf3, 0x6e, 0x65, 0x03, 0x68};
    static const uint8_t all_hmacs[32] = {
        0x2e, 0x40, 0x8b, 0x34, 0x55, 0xba, 0xac, 0xbf, 0xca, 0xc3, 0xdc,
        0x76, 0x54, 0x83, 0xa5, 0xc9, 0xdb, 0xe3, 0x47, 0x8f, 0x58, 0x9b,
        0x58, 0xde, 0x3a, 0xdc, 0x80, 0x5b, 0x6e, 0xb2, 0xc9, 0x4a};
    static const uint8_t all_signatures[32] = {
        0xb5, 0x85, 0x47, 0x97, 0x78, 0x09, 0x4e, 0xb8, 0xeb, 0x5d, 0xad,
        0xfa, 0x35, 0x71, 0x10, 0x52, 0x14, 0xab, 0x37, 0x4a, 0x91, 0x8f,
        0x01, 0x23, 0x43, 0x90, 0xda, 0x92, 0x77, 0xea, 0xf5, 0xba};
    uint8_t text[400], macs[TEST_ROWS][32];
    const uint8_t *secrets[TEST_ROWS], *messages[TEST_ROWS];
    size_t secret_sizes[TEST_ROWS], sizes[TEST_ROWS];
    uint32_t salts[TEST_ROWS];
    ft_hmac_key keys[TEST_ROWS];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(i * 7 + i / 256);
    for (size_t i = 0; i < TEST_ROWS; i++) {
        secrets[i] = text + i;
        secret_sizes[i] = i % 4 ? i * 13 % 65 : i * 5;
        messages[i] = text + 3 * i;
        sizes[i] = i * 53 % 201;
        salts[i] = (uint32_t)(i * 2654435761u);
    }
    for (size_t i = 0; i < TEST_ROWS; i++) hash(path, messages[i], sizes[i], macs[i]);
    if (!known(path, macs, TEST_ROWS, all_hashes)) return 0;
    key_init_many(path, keys, secrets, secret_sizes, TEST_ROWS);
    hmac_many(path, keys, 1, messages, sizes, macs, TEST_ROWS);
    if (!known(path, macs, TEST_ROWS, all_hmacs)) return 0;
    sign_007_many(path, text, salts, messages, sizes, macs, TEST_ROWS);
    if (!known(path, macs, TEST_ROWS, all_signatures)) return 0;

    secrets[0] = (const uint8_t *)"Jefe";
    messages[0] = (const uint8_t *)"what do ya want for nothing?";
    key_init_many(path, keys, secrets, &(size_t){4}, 1);
    hmac_many(path, keys, 0, messages, &(size_t){28}, macs, 1);
    return memcmp(macs[0], jefe, 32) == 0;
}
