/* The cost of each stage of a token, measured in the kernels themselves, without Python.
 *
 *   stages time  PATH LAYOUT BLOCK ROUNDS            nanoseconds a token of processor time, as JSON
 *   stages count PATH LAYOUT BLOCK STAGE TOKENS      runs one stage once, for callgrind:
 *                                                    --toggle-collect=measured
 *   stages step  PATH LAYOUT BLOCK STAGE TOKENS      the same, and prints the instructions, counted
 *                                                    by the processor's single-step trap (x86-64):
 *                                                    slow, but on every instruction set it has
 *
 * PATH is one of ft_cpu_paths(); BLOCK is how many tokens a stage is given at a time: 1 is the
 * single call. "mint" is all of minting; what it costs beyond its stages is packing, layout and
 * copies. The inputs of the stages are read back from minted tokens, and each stage has to give
 * the bytes of those tokens before it is measured. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base64.h"
#include "cpu.h"
#include "crc32.h"
#include "deflate.h"
#include "hmac.h"
#include "inflate.h"
#include "mint.h"
#include "one.h"

#define MOST_TOKENS 4096
#define TIMED_TOKENS 256 /* short enough to fit between two turns of the scheduler, mostly */
#define MOST_BYTES 1024  /* of a payload or a stream */
#define MOST_BLOCK 128
#define SIGNATURE 32
#define EXPIRE 3600
#define ISSUE_TS 1700000000u

static const char app_id[] = "0123456789abcdef0123456789abcdef";
static const char certificate[] = "00112233445566778899aabbccddeeff";
static const char channel_name[] = "lecture-hall-7.stream_2024-05-01";

static void fail(const char *why) {
    fprintf(stderr, "stages: %s\n", why);
    exit(1);
}

/* Layouts -------------------------------------------------------------------------------- */

enum { UID, USER_ID, COLUMNS };

static uint8_t constants[1024];
static size_t constants_n;
static ft_segment segments[16];
static ft_variant variant = {.segments = segments};
static ft_layout layout = {.variants = &variant, .variant_count = 1};

static void begin_constant(void) {
    segments[variant.count++] =
        (ft_segment){.kind = FT_CONSTANT, .bytes = constants + constants_n};
}

static void put(const void *bytes, size_t n) {
    if (variant.count == 0 || segments[variant.count - 1].kind != FT_CONSTANT) begin_constant();
    memcpy(constants + constants_n, bytes, n);
    constants_n += n;
    segments[variant.count - 1].n += n;
    variant.fixed += n;
}

static void put16(unsigned value) { put((uint8_t[]){value & 255, value >> 8}, 2); }

static void put32(uint32_t value) {
    put16(value & 0xffff);
    put16(value >> 16);
}

static void put_str(const char *text) {
    put16((unsigned)strlen(text));
    put(text, strlen(text));
}

static void put_slot(ft_slot_kind kind, size_t column) {
    segments[variant.count++] = (ft_segment){.kind = kind, .column = column};
    variant.fixed += kind == FT_STR ? 2 : kind == FT_RAW ? 0 : 4;
}

static void put_privileges(unsigned count, uint32_t expire) {
    put16(count);
    for (unsigned key = 1; key <= count; key++) {
        put16(key);
        put32(expire);
    }
}

static void put_rtc(unsigned privileges) {
    put16(1);
    put_privileges(privileges, EXPIRE);
    put_str(channel_name);
    put_slot(FT_STR, UID);
}

static void put_rtm(unsigned type) {
    put16(type);
    put_privileges(1, EXPIRE);
    put_slot(FT_STR, USER_ID);
}

/* Message channels: two to read, one to write. */
static void put_permissions(void) {
    put16(1), put16(0), put16(2);
    put16(0), put16(2), put_str("announcements"), put_str("questions");
    put16(1), put16(1), put_str("questions");
}

static void choose_layout(const char *name) {
    static char prefix_006[3 + sizeof app_id];
    int subscriber = strstr(name, "subscriber") != NULL;
    if (strstr(name, "_006")) {
        layout.envelope = FT_ACCESS_TOKEN;
        snprintf(prefix_006, sizeof prefix_006, "006%s", app_id);
        layout.prefix = prefix_006;
        put(app_id, 32);
        begin_constant();
        put(channel_name, strlen(channel_name));
        put_slot(FT_RAW, UID);
        put_slot(FT_SALT, 0);
        put32(ISSUE_TS + 86400);
        put_privileges(subscriber ? 1 : 4, ISSUE_TS + EXPIRE);
    } else {
        int rtc = strncmp(name, "rtm", 3) != 0, rtm = strstr(name, "rtm") != NULL;
        layout.envelope = FT_ACCESS_TOKEN2;
        layout.prefix = "007";
        put_str(app_id);
        put_slot(FT_ISSUE_TS, 0);
        put32(EXPIRE);
        put_slot(FT_SALT, 0);
        put16((unsigned)(rtc + rtm));
        if (rtc) put_rtc(subscriber ? 1 : 4);
        if (rtm) put_rtm(rtc ? 2 : 8);
        if (rtm && !rtc) put_permissions();
    }
    layout.prefix_n = strlen(layout.prefix);
}

/* Rows: 10-digit uids, the same as text, and salts ------------------------------------------ */

static size_t tokens, block;
static uint32_t uids[MOST_TOKENS], salts[MOST_TOKENS];
static char user_ids[MOST_TOKENS * 10 + 1];
static int32_t user_id_offsets[MOST_TOKENS + 1];
static ft_hmac_key certificate_key;
static uint8_t key1[SIGNATURE];
static const uint32_t issue_ts = ISSUE_TS;
static ft_column columns[COLUMNS] = {
    [UID] = {.type = FT_COLUMN_U32, .values = uids},
    [USER_ID] = {.type = FT_COLUMN_TEXT32,
                 .values = user_id_offsets,
                 .data = (const uint8_t *)user_ids,
                 .data_n = sizeof user_ids - 1},
};
static ft_rows rows = {
    .certificate = (const uint8_t *)certificate,
    .certificate_n = sizeof certificate - 1,
    .certificate_key = &certificate_key,
    .issue_ts = &issue_ts,
    .salts = salts,
    .columns = columns,
};

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_below(uint32_t n) { /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(((random_state * 0x2545f4914f6cdd1du >> 32) * n) >> 32);
}

static void make_rows(void) {
    ft_hmac_key key;
    uint8_t timestamp[4] = {issue_ts & 255, issue_ts >> 8 & 255, issue_ts >> 16 & 255,
                            issue_ts >> 24};
    for (size_t i = 0; i < tokens; i++) {
        uids[i] = 1000000000u + random_below(3000000000u);
        salts[i] = 1 + random_below(99999999);
        snprintf(user_ids + 10 * i, 11, "%u", uids[i]);
        user_id_offsets[i + 1] = (int32_t)(10 * (i + 1));
    }
    ft_hmac_key_init(&certificate_key, rows.certificate, rows.certificate_n);
    ft_hmac_key_init(&key, timestamp, sizeof timestamp);
    ft_hmac(&key, rows.certificate, rows.certificate_n, key1);
    if (block == 1) rows.key1 = key1; /* as the single call does: known since the last one */
}

/* Stages ---------------------------------------------------------------------------------- */

static ft_minter *minter;
static ft_output minted, output;
static int64_t offsets[MOST_TOKENS + 1], ends[MOST_TOKENS + 1];
/* What stands in the minted tokens, and what the stages write. */
static uint8_t pool[MOST_TOKENS * MOST_BYTES]; /* payloads and streams, close together */
static const uint8_t *payloads[MOST_TOKENS], *bodies[MOST_TOKENS], *streams[MOST_TOKENS];
static size_t payload_n[MOST_TOKENS], body_n[MOST_TOKENS], stream_n[MOST_TOKENS];
static uint8_t signatures[MOST_TOKENS][SIGNATURE];
static uint32_t check_sums[2];
static uint8_t scratch[MOST_BLOCK][MOST_BYTES], *scratches[MOST_BLOCK];
static size_t scratch_n[MOST_BLOCK];

static size_t in_block(size_t start) { return tokens - start < block ? tokens - start : block; }

static void mint(void) {
    output.size = 0;
    if (block > 1) {
        if (ft_mint(minter, &layout, &rows, 0, tokens, &output, ends, NULL).status != FT_MINT_OK)
            fail("ft_mint failed");
        return;
    }
    for (size_t i = 0; i < tokens; i++) { /* as the single call does */
        ft_value values[COLUMNS] = {
            [UID] = {.number = uids[i]},
            [USER_ID] = {.text = (const uint8_t *)user_ids + 10 * i, .n = 10},
        };
        uint8_t stream[FT_ONE_STREAM];
        size_t n = ft_one(&layout, &variant, values, issue_ts, salts[i], &certificate_key, key1,
                          ft_minter_deflate(minter), stream);
        memcpy(output.data + output.size, layout.prefix, layout.prefix_n);
        ft_base64_encode(stream, n, output.data + output.size + layout.prefix_n);
        output.size += layout.prefix_n + ft_base64_size(n);
    }
}

static void sign(void) {
    for (size_t i = 0; i < tokens; i += block)
        if (layout.envelope == FT_ACCESS_TOKEN2)
            ft_sign_007_many(key1, salts + i, bodies + i, body_n + i, signatures + i, in_block(i));
        else
            ft_hmac_many(&certificate_key, 0, bodies + i, body_n + i, signatures + i, in_block(i));
}

static void deflate(void) {
    ft_deflate_work *work = ft_minter_deflate(minter);
    for (size_t i = 0; i < tokens; i += block)
        if (block == 1)
            scratch_n[0] = ft_zlib(payloads[i], payload_n[i], scratch[0], work);
        else
            ft_zlib_many(payloads + i, payload_n + i, scratches, scratch_n, in_block(i), work);
}

static void check_sum(void) {
    for (size_t i = 0; i < tokens; i++) {
        check_sums[0] = ft_crc32((const uint8_t *)channel_name, sizeof channel_name - 1);
        check_sums[1] = ft_crc32((const uint8_t *)user_ids + 10 * i, 10);
    }
}

static void encode(void) {
    for (size_t i = 0; i < tokens; i++)
        ft_base64_encode(streams[i], stream_n[i], (char *)scratch[i % MOST_BLOCK]);
}

static void decode(void) {
    for (size_t i = 0; i < tokens; i++)
        scratch_n[0] = (size_t)ft_base64_decode(
            minted.data + offsets[i] + layout.prefix_n,
            (size_t)(offsets[i + 1] - offsets[i]) - layout.prefix_n, scratch[0]);
}

static void inflate(void) {
    for (size_t i = 0; i < tokens; i++)
        scratch_n[0] = (size_t)ft_inflate_zlib(streams[i], stream_n[i], scratch[0], MOST_BYTES,
                                               NULL);
}

typedef struct {
    const char *name;
    void (*run)(void);
    int envelope; /* that has it; 0: both */
} stage;

static const stage stages[] = {
    {"mint", mint, 0},
    {"sign", sign, 0},
    {"deflate", deflate, FT_ACCESS_TOKEN2},
    {"check_sum", check_sum, FT_ACCESS_TOKEN},
    {"encode", encode, 0},
    {"decode", decode, 0},
    {"inflate", inflate, FT_ACCESS_TOKEN2},
};
#define STAGES (sizeof stages / sizeof *stages)

static int has(const stage *s) { return !s->envelope || s->envelope == (int)layout.envelope; }

static void must_be(const uint8_t *truth, size_t n, const uint8_t *got, size_t got_n,
                    const char *stage) {
    if (n != got_n || memcmp(truth, got, n) != 0) fail(stage);
}

/* Reads the inputs of the stages of token i back from it; returns the end of the pool in use. */
static uint8_t *read_back(size_t i, uint8_t *at) {
    const size_t channel_n = sizeof channel_name - 1, message = 2 + SIGNATURE + 4 + 4 + 2;
    const char *text = minted.data + offsets[i] + layout.prefix_n;
    ptrdiff_t n = ft_base64_decode(
        text, (size_t)(offsets[i + 1] - offsets[i]) - layout.prefix_n, at);
    if (n < 0) fail("decode");
    streams[i] = at;
    stream_n[i] = (size_t)n;
    at += n;
    if (layout.envelope == FT_ACCESS_TOKEN2) {
        n = ft_inflate_zlib(streams[i], stream_n[i], at, MOST_BYTES, NULL);
        if (n < 0) fail("inflate");
        payloads[i] = at;
        payload_n[i] = (size_t)n;
        bodies[i] = at + 2 + SIGNATURE;
        body_n[i] = payload_n[i] - 2 - SIGNATURE;
        return at + n;
    }
    /* What 006 signs: App ID, channel name, uid, and the message at the end of the stream. */
    bodies[i] = at;
    memcpy(at, app_id, 32);
    memcpy(at + 32, channel_name, channel_n);
    memcpy(at + 32 + channel_n, user_ids + 10 * i, 10);
    memcpy(at + 42 + channel_n, streams[i] + message, stream_n[i] - message);
    body_n[i] = 42 + channel_n + stream_n[i] - message;
    return at + body_n[i];
}

/* Mints all tokens, reads the inputs of the stages back from them, and proves the stages. */
static void prepare(void) {
    uint8_t *at = pool;
    size_t last = tokens - 1, last_in_block = block == 1 ? 0 : last % block;
    for (size_t i = 0; i < MOST_BLOCK; i++) scratches[i] = scratch[i];
    minter = ft_minter_new();
    if (!minter ||
        ft_mint(minter, &layout, &rows, 0, tokens, &minted, offsets, NULL).status != FT_MINT_OK)
        fail("ft_mint failed");
    for (size_t i = 0; i < tokens; i++) {
        if (at + 2 * MOST_BYTES > pool + sizeof pool) fail("the pool is too small");
        at = read_back(i, at);
    }
    output.data = malloc(minted.size);
    output.capacity = minted.size;
    if (!output.data) fail("no memory");
    mint();
    must_be((uint8_t *)minted.data, minted.size, (uint8_t *)output.data, output.size, "mint");
    sign();
    for (size_t i = 0; i < tokens; i++)
        must_be((layout.envelope == FT_ACCESS_TOKEN2 ? payloads : streams)[i] + 2, SIGNATURE,
                signatures[i], SIGNATURE, "sign");
    if (layout.envelope == FT_ACCESS_TOKEN2) {
        deflate();
        must_be(streams[last], stream_n[last], scratch[last_in_block], scratch_n[last_in_block],
                "deflate");
        inflate();
        must_be(payloads[last], payload_n[last], scratch[0], scratch_n[0], "inflate");
    } else {
        const uint8_t *sums = streams[last] + 2 + SIGNATURE;
        check_sum();
        for (int i = 0; i < 8; i++)
            if (sums[i] != (uint8_t)(check_sums[i / 4] >> 8 * (i % 4))) fail("check_sum");
    }
    encode();
    must_be((uint8_t *)minted.data + offsets[last] + layout.prefix_n,
            (size_t)(offsets[tokens] - offsets[last]) - layout.prefix_n,
            scratch[last % MOST_BLOCK], ft_base64_size(stream_n[last]), "encode");
    decode();
    must_be(streams[last], stream_n[last], scratch[0], scratch_n[0], "decode");
}

/* Measuring ------------------------------------------------------------------------------- */

static volatile unsigned long steps;

/* callgrind counts between its entry and its return. */
__attribute__((noinline)) void measured(void (*run)(void)) {
    run();
    steps += 0; /* keeps the call above from becoming a jump */
}

/* Processor time, which others on the machine don't take part in. */
static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static void time_stages(int rounds) {
    double *ns = malloc(STAGES * (size_t)rounds * sizeof *ns);
    if (!ns) fail("no memory");
    for (int round = 0; round < rounds; round++)
        for (size_t s = 0; s < STAGES; s++) {
            if (!has(&stages[s])) continue;
            double start = now_ns();
            measured(stages[s].run);
            ns[s * (size_t)rounds + (size_t)round] = (now_ns() - start) / (double)tokens;
        }
    const char *comma = "{";
    for (size_t s = 0; s < STAGES; s++) {
        if (!has(&stages[s])) continue;
        printf("%s\"%s\": [", comma, stages[s].name);
        for (int round = 0; round < rounds; round++)
            printf("%s%.1f", round ? ", " : "", ns[s * (size_t)rounds + (size_t)round]);
        printf("]");
        comma = ", ";
    }
    printf("}\n");
    free(ns);
}

#if defined(__x86_64__)
static void count_step(int signal) {
    (void)signal;
    steps++;
}

static void step(void (*run)(void)) {
    signal(SIGTRAP, count_step);
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq;"
                     "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
    measured(run);
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq;"
                     "lea 128(%%rsp), %%rsp" ::: "memory", "cc");
    printf("%lu\n", steps);
}
#else
static void step(void (*run)(void)) {
    (void)run;
    fail("step needs x86-64");
}
#endif

/* The lanes of the DEFLATE encoder that go with a CPU path, as fasttoken chooses them. */
static void choose_path(const char *path) {
    static const char *const lanes[][2] = {
        {"shani", "sse4"}, {"avx2", "avx2"}, {"avx512", "avx512"}, {"armv8", "neon"}};
    if (!ft_cpu_select(path)) fail("this machine has no such path");
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
        if (strcmp(path, lanes[i][0]) == 0 && ft_deflate_select(lanes[i][1])) return;
    ft_deflate_select("portable");
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "paths") == 0) {
        for (const char *const *path = ft_cpu_paths(); *path; path++) puts(*path);
        return 0;
    }
    int timing = argc == 6 && strcmp(argv[1], "time") == 0;
    if (!timing && !(argc == 7 && (!strcmp(argv[1], "count") || !strcmp(argv[1], "step"))))
        fail("usage: see the head of stages.c");
    choose_path(argv[2]);
    choose_layout(argv[3]);
    block = (size_t)atol(argv[4]);
    tokens = timing ? TIMED_TOKENS : (size_t)atol(argv[6]);
    if (!tokens || tokens > MOST_TOKENS || !block || block > MOST_BLOCK) fail("bad sizes");
    make_rows();
    prepare();
    if (timing) {
        time_stages(atoi(argv[5]));
        return 0;
    }
    for (size_t s = 0; s < STAGES; s++)
        if (strcmp(stages[s].name, argv[5]) == 0 && has(&stages[s])) {
            (strcmp(argv[1], "step") == 0 ? step : measured)(stages[s].run);
            return 0;
        }
    fail("no such stage");
}
