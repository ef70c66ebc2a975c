#include "accept.h"

#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "inflate.h"

#define BLOCK 128
#define SIGNATURE 32
#define HEAD (2 + SIGNATURE)
#define PREFIX "007"
#define LONGEST_TOKEN 2048 /* characters; a longer one gets a second look */
#define LONGEST_BODY 2048  /* bytes; likewise */

typedef struct {
    uint8_t bytes[HEAD + LONGEST_BODY];
    size_t n; /* of the body, which begins at bytes + HEAD */
    uint32_t issue_ts, salt;
    int64_t ends;
    size_t row;
} opened;

/* Reading: a cursor that stays inside its bytes. */
typedef struct {
    const uint8_t *at, *end;
} cursor;

static int take(cursor *c, size_t n, const uint8_t **bytes) {
    if ((size_t)(c->end - c->at) < n) return 0;
    *bytes = c->at;
    c->at += n;
    return 1;
}

static int take16(cursor *c, uint32_t *value) {
    const uint8_t *b;
    if (!take(c, 2, &b)) return 0;
    *value = (uint32_t)b[0] | (uint32_t)b[1] << 8;
    return 1;
}

static int take32(cursor *c, uint32_t *value) {
    const uint8_t *b;
    if (!take(c, 4, &b)) return 0;
    *value = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    return 1;
}

static int take_text(cursor *c, const uint8_t **text, uint32_t *n) {
    return take16(c, n) && take(c, *n, text);
}

/* Whether a text is the one that was asked for. */
static int is_asked(const ft_asked *asked, size_t row, const uint8_t *text, size_t n) {
    if (asked->column == NULL) return 1;
    size_t at = asked->varies ? row : 0;
    const ft_column *column = asked->column;
    if (column->type == FT_COLUMN_U32) {
        uint8_t digits[10];
        size_t size = 0;
        for (uint32_t left = ((const uint32_t *)column->values)[at]; left; left /= 10)
            digits[size++] = (uint8_t)('0' + left % 10);
        if (size != n || n == 0) return 0;
        for (size_t i = 0; i < n; i++)
            if (text[i] != digits[n - 1 - i]) return 0;
        return 1;
    }
    int64_t from, to;
    if (column->type == FT_COLUMN_TEXT32) {
        from = ((const int32_t *)column->values)[at];
        to = ((const int32_t *)column->values)[at + 1];
    } else {
        from = ((const int64_t *)column->values)[at];
        to = ((const int64_t *)column->values)[at + 1];
    }
    if (from < 0 || to < from || (uint64_t)to > column->data_n) return 0;
    return (size_t)(to - from) == n && memcmp(column->data + from, text, n) == 0;
}

/* Whether a service fits a pattern and grants what it should, now; *ends falls to the end of its
 * first pattern's entry privilege. */
static int fits(const ft_question *q, const ft_pattern *pattern, cursor *c, size_t row,
                uint32_t issue_ts, uint32_t expire, int first, int64_t *ends) {
    uint32_t type, count;
    int entered = 0, one_of = pattern->one_of_n == 0;
    if (!take16(c, &type) || type != pattern->type || !take16(c, &count)) return 0;
    int64_t last_key = -1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key, seconds;
        if (!take16(c, &key) || !take32(c, &seconds)) return 0;
        if (seconds > expire || (int64_t)key <= last_key) return 0;
        last_key = key;
        if (key == pattern->entry) {
            int64_t end = (int64_t)issue_ts + (seconds ? seconds : expire);
            if (q->now >= end + q->leeway) return 0;
            if (!first && seconds) return 0;
            if (end < *ends) *ends = end;
            entered = 1;
        }
        for (size_t k = 0; k < pattern->one_of_n; k++) one_of |= key == pattern->one_of[k];
    }
    if (!entered || !one_of) return 0;
    for (size_t f = 0; f < pattern->field_n; f++) {
        const ft_pattern_field *field = &pattern->fields[f];
        const uint8_t *text;
        uint32_t n;
        if (!take_text(c, &text, &n) || n == 0 || n > field->longest) return 0;
        for (uint32_t i = 0; i < n; i++)
            if (!field->allowed[text[i]]) return 0;
        if (field->asked && !is_asked(&q->asked[field->asked - 1], row, text, n)) return 0;
    }
    return 1;
}

/* Reads a token; 1 if all but its signature is plainly good. */
static int open_token(const ft_question *q, const uint8_t *token, size_t n, size_t row,
                      opened *out) {
    uint8_t stream[LONGEST_TOKEN];
    const size_t prefix = sizeof PREFIX - 1;
    size_t consumed = 0;
    if (n < prefix || n > q->longest_token || n - prefix > LONGEST_TOKEN) return 0;
    if (memcmp(token, PREFIX, prefix) != 0) return 0;
    ptrdiff_t size = ft_base64_decode((const char *)token + prefix, n - prefix, stream);
    if (size < 0) return 0;
    ptrdiff_t total =
        ft_inflate_zlib(stream, (size_t)size, out->bytes, sizeof out->bytes, &consumed);
    if (total < HEAD || consumed != (size_t)size) return 0;
    if (out->bytes[0] != SIGNATURE || out->bytes[1] != 0) return 0;
    out->n = (size_t)total - HEAD;
    out->row = row;
    cursor c = {out->bytes + HEAD, out->bytes + total};
    const uint8_t *app_id;
    uint32_t app_id_n, expire, services;
    if (!take_text(&c, &app_id, &app_id_n) || app_id_n != q->app_id_n ||
        memcmp(app_id, q->app_id, app_id_n) != 0)
        return 0;
    if (!take32(&c, &out->issue_ts) || !take32(&c, &expire) || !take32(&c, &out->salt) ||
        !take16(&c, &services))
        return 0;
    if (services == 0 || services > q->pattern_n) return 0;
    if (expire == 0 || expire > q->longest_lifetime) return 0;
    out->ends = (int64_t)out->issue_ts + expire;
    if ((int64_t)out->issue_ts > q->now + q->leeway || q->now >= out->ends + q->leeway) return 0;
    for (uint32_t s = 0, p = 0; s < services; s++, p++)
        if (!fits(q, &q->patterns[p], &c, row, out->issue_ts, expire, s == 0, &out->ends)) return 0;
    return c.at == c.end;
}

static int equal(const uint8_t *a, const uint8_t *b) {
    uint8_t difference = 0;
    for (int i = 0; i < SIGNATURE; i++) difference |= a[i] ^ b[i];
    return difference == 0;
}

/* Signs the opened tokens with one certificate and marks those whose signature is the same. */
static void check(const ft_question *q, size_t certificate, const opened *tokens, size_t count,
                  uint8_t *signer) {
    const uint8_t *bodies[BLOCK];
    size_t n[BLOCK];
    uint32_t salts[BLOCK];
    uint8_t macs[BLOCK][SIGNATURE], key1[SIGNATURE], timestamp[4];
    ft_hmac_key key;
    for (size_t i = 0; i < count; i++) {
        bodies[i] = tokens[i].bytes + HEAD;
        n[i] = tokens[i].n;
        salts[i] = tokens[i].salt;
    }
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        while (end < count && tokens[end].issue_ts == tokens[i].issue_ts) end++;
        for (int k = 0; k < 4; k++) timestamp[k] = (uint8_t)(tokens[i].issue_ts >> (8 * k));
        ft_hmac_key_init(&key, timestamp, sizeof timestamp);
        ft_hmac(&key, q->certificates[certificate], q->certificate_n[certificate], key1);
        ft_sign_007_many(key1, salts + i, bodies + i, n + i, macs + i, end - i);
    }
    for (size_t i = 0; i < count; i++)
        if (!signer[i] && equal(tokens[i].bytes + 2, macs[i])) signer[i] = (uint8_t)(certificate + 1);
    ft_hmac_key_wipe(&key);
    ft_wipe(key1, sizeof key1);
    ft_wipe(macs, sizeof macs); /* a signature that was asked for is one that can be used */
}

int ft_accept(const ft_question *question, const ft_column *tokens,
              size_t start, size_t stop, uint8_t *which, int64_t *ends) {
    opened *block = malloc(BLOCK * sizeof *block);
    uint8_t signer[BLOCK];
    if (block == NULL) return 0;
    memset(which, 0, stop - start);
    memset(ends, 0, (stop - start) * sizeof *ends);
    for (size_t row = start; row < stop;) {
        size_t count = 0, left;
        for (; row < stop && count < BLOCK; row++) {
            const uint8_t *text;
            int64_t from, to;
            if (tokens->type == FT_COLUMN_TEXT32) {
                from = ((const int32_t *)tokens->values)[row];
                to = ((const int32_t *)tokens->values)[row + 1];
            } else {
                from = ((const int64_t *)tokens->values)[row];
                to = ((const int64_t *)tokens->values)[row + 1];
            }
            if (from < 0 || to < from || (uint64_t)to > tokens->data_n) continue;
            text = tokens->data + from;
            count += (size_t)open_token(question, text, (size_t)(to - from), row, &block[count]);
        }
        memset(signer, 0, sizeof signer);
        for (size_t c = 0; c < question->certificate_count; c++) {
            for (left = 0; left < count && signer[left]; left++) {
            }
            if (left < count) check(question, c, block, count, signer);
        }
        for (size_t i = 0; i < count; i++) {
            which[block[i].row - start] = signer[i];
            ends[block[i].row - start] = signer[i] ? block[i].ends : 0;
        }
    }
    free(block);
    return 1;
}
