/* libFuzzer: reading tokens in bulk, which must stay inside its bytes whatever stands in them.
 * The first byte says what the rest is: a token as text, the content of one, or a body to sign;
 * what is signed rightly and found acceptable is checked against what was asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "base64.h"
#include "cpu.h"
#include "deflate.h"
#include "hmac.h"

static const char APP_ID[] = "970CA35de60c44645bbae8a215061b33";
static const char CERTIFICATE[] = "5CFd2fd1755d40ecb72977518be15d3b";

static size_t token_of(const uint8_t *content, size_t n, ft_deflate_work *work, char *out) {
    static uint8_t stream[FT_DEFLATE_MAX * 2 + 1024];
    size_t size = ft_zlib(content, n, stream, work);
    memcpy(out, "007", 3);
    ft_base64_encode(stream, size, out + 3);
    return 3 + ft_base64_size(size);
}

static void sign(const uint8_t *body, size_t n, uint8_t mac[32]) {
    uint8_t key1[32], macs[1][32];
    uint32_t salt = 0;
    ft_hmac_key key;
    const uint8_t *bodies[1] = {body};
    uint8_t issue_ts[4] = {0};
    if (n >= 46) {
        memcpy(issue_ts, body + 34, 4);
        salt = (uint32_t)body[42] | (uint32_t)body[43] << 8 | (uint32_t)body[44] << 16 |
               (uint32_t)body[45] << 24;
    }
    ft_hmac_key_init(&key, issue_ts, 4);
    ft_hmac(&key, (const uint8_t *)CERTIFICATE, 32, key1);
    ft_sign_007_many(key1, &salt, bodies, &n, macs, 1);
    memcpy(mac, macs[0], 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static ft_deflate_work *work;
    static uint8_t any[256];
    static char token[FT_DEFLATE_MAX * 4];
    static uint8_t content[FT_DEFLATE_MAX];
    if (work == NULL) {
        work = malloc(sizeof *work);
        if (work == NULL) abort();
        ft_deflate_work_init(work);
        ft_cpu_select("auto");
        memset(any, 1, sizeof any);
    }
    if (n < 1 || n > 3000) return 0;
    size_t size, body_n = n - 1;
    if (data[0] % 3 == 0) {
        memcpy(token, data + 1, body_n);
        size = body_n;
    } else if (data[0] % 3 == 1) {
        size = token_of(data + 1, body_n, work, token);
    } else {
        content[0] = 32;
        content[1] = 0;
        sign(data + 1, body_n, content + 2);
        memcpy(content + 34, data + 1, body_n);
        size = token_of(content, 34 + body_n, work, token);
    }
    const ft_pattern_field fields[2] = {{any, 64, 1}, {any, 255, 2}};
    const uint16_t one_of[3] = {2, 3, 4};
    const ft_pattern patterns[2] = {{1, 1, one_of, 3, fields, 2}, {2, 1, NULL, 0, fields + 1, 1}};
    const int64_t asked_offsets[2] = {0, 1}, offsets[2] = {0, (int64_t)size};
    const ft_column channel = {FT_COLUMN_TEXT64, asked_offsets, (const uint8_t *)"c", 1};
    /* An exact copy, so that reading past it is seen. */
    uint8_t *exact = malloc(size ? size : 1);
    if (exact == NULL) abort();
    memcpy(exact, token, size);
    const ft_column tokens = {FT_COLUMN_TEXT64, offsets, exact, size};
    ft_question question = {.patterns = patterns,
                            .pattern_n = 2,
                            .app_id = (const uint8_t *)APP_ID,
                            .app_id_n = 32,
                            .certificates = {(const uint8_t *)CERTIFICATE, NULL},
                            .certificate_n = {32, 0},
                            .certificate_count = 1,
                            .now = 1000,
                            .leeway = 0,
                            .longest_lifetime = 86400,
                            .longest_token = 2047,
                            .asked = {{data[0] & 64 ? &channel : NULL, 0}, {NULL, 0}}};
    uint8_t which;
    int64_t ends;
    if (!ft_accept(&question, &tokens, 0, 1, &which, &ends)) abort();
    if (which > 1 || (which == 1) != (ends != 0)) abort();
    if (which == 1 && (ends <= 1000 || ends > 1000 + 86400)) abort();
    free(exact);
    return 0;
}
