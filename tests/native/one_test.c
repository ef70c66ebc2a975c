/* One token by ft_one against the same by ft_mint, for random layouts and values. */
#include <string.h>

#include "base64.h"
#include "one.h"
#include "sign_check.h"

#define COLUMNS 5
#define SEGMENTS 9
#define ROUNDS 20000
#define HEAD 34 /* str(signature), which stands before the body */

static size_t below(size_t n) { return (size_t)(draw() % n); }

/* Memory of exactly n bytes, so that the sanitizer sees a read past its end. */
static uint8_t *random_bytes(size_t n) {
    uint8_t *bytes = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)draw();
    return bytes;
}

static ft_minter *minter;
static ft_hmac_key certificate_key;
static const uint8_t certificate[] = "00112233445566778899aabbccddeeff";
static size_t minted, refused; /* by ft_one */

static void test_row(ft_envelope envelope) {
    static const ft_slot_kind kinds[] = {FT_RAW,      FT_CONSTANT, FT_STR, FT_U32,
                                         FT_ISSUE_TS, FT_SALT,     FT_I16};
    ft_value values[COLUMNS];
    ft_column columns[COLUMNS];
    int64_t bounds[COLUMNS][2];
    ft_segment segments[SEGMENTS];
    uint8_t *constants[SEGMENTS], key1[32], stream[FT_ONE_STREAM];
    uint32_t issue_ts = (uint32_t)draw(), salt = (uint32_t)draw();
    int is_long = below(20) == 0;
    size_t body_n = 0;
    for (size_t c = 0; c < COLUMNS; c++) {
        values[c] = (ft_value){NULL, 0, (uint32_t)draw() >> below(32)};
        columns[c] = (ft_column){FT_COLUMN_U32, &values[c].number, NULL, 0};
        if (c < 2) continue; /* the first two are numbers, the others texts */
        values[c].n = below(is_long ? 800 : 70);
        values[c].text = random_bytes(values[c].n);
        bounds[c][0] = 0, bounds[c][1] = (int64_t)values[c].n;
        columns[c] = (ft_column){FT_COLUMN_TEXT64, bounds[c], values[c].text, values[c].n};
    }
    ft_variant variant = {segments, 3 + below(SEGMENTS - 2), 0};
    for (size_t s = 0; s < variant.count; s++) {
        ft_slot_kind kind = kinds[below(s < 3 && envelope == FT_ACCESS_TOKEN ? 2 : 7)];
        int text = kind == FT_RAW || kind == FT_STR;
        segments[s] = (ft_segment){kind, below(text ? COLUMNS : 2), NULL, 0};
        constants[s] = NULL;
        if (kind == FT_CONSTANT) {
            segments[s].n = below(is_long ? 300 : 40);
            segments[s].bytes = constants[s] = random_bytes(segments[s].n);
            variant.fixed += segments[s].n;
        } else if (kind != FT_RAW) {
            variant.fixed += kind == FT_I16 || kind == FT_STR ? 2 : 4;
        }
        if (text) body_n += values[segments[s].column].text ? values[segments[s].column].n : 10;
    }
    body_n += variant.fixed;
    ft_layout layout = {envelope, "00x", 3, &variant, 1};
    ft_hmac_key key;
    uint8_t timestamp[4] = {issue_ts & 255, issue_ts >> 8 & 255, issue_ts >> 16 & 255,
                            issue_ts >> 24};
    ft_hmac_key_init(&key, timestamp, 4);
    ft_hmac(&key, certificate, 32, key1);
    for (size_t s = 0; s < variant.count; s++)
        if (segments[s].kind == FT_I16) { /* a column of i16 is read as such by ft_mint */
            columns[segments[s].column].type = FT_COLUMN_I16;
            for (size_t other = 0; other < variant.count; other++)
                if (other != s && segments[other].column == segments[s].column &&
                    segments[other].kind != FT_I16)
                    columns[segments[s].column].type = FT_COLUMN_U32;
        }
    ft_rows rows = {.certificate = certificate,
                    .certificate_n = 32,
                    .certificate_key = &certificate_key,
                    .key1 = key1,
                    .issue_ts = &issue_ts,
                    .salts = &salt,
                    .columns = columns};
    ft_output output = {NULL, 0, 0, 0};
    int64_t offsets[2];
    CHECK(ft_mint(minter, &layout, &rows, 0, 1, &output, offsets, NULL).status == FT_MINT_OK);
    size_t n = ft_one(&layout, &variant, values, issue_ts, salt, &certificate_key, key1,
                      ft_minter_deflate(minter), stream);
    if (n) {
        char *text = malloc(ft_base64_size(n));
        ft_base64_encode(stream, n, text);
        CHECK(output.size == 3 + ft_base64_size(n));
        CHECK(memcmp(output.data + 3, text, ft_base64_size(n)) == 0);
        free(text);
        minted++;
    } else {
        CHECK(body_n > FT_ONE_PAYLOAD - HEAD);
        refused++;
    }
    free(output.data);
    for (size_t s = 0; s < variant.count; s++) free(constants[s]);
    for (size_t c = 2; c < COLUMNS; c++) free((void *)values[c].text);
}

int main(void) {
    minter = ft_minter_new();
    ft_hmac_key_init(&certificate_key, certificate, 32);
    for (const char *const *path = ft_cpu_paths(); *path; path++) {
        CHECK(ft_cpu_select(*path));
        for (int i = 0; i < ROUNDS; i++) test_row(i % 2 ? FT_ACCESS_TOKEN : FT_ACCESS_TOKEN2);
    }
    CHECK(refused > 100 && minted > 9 * refused);
    printf("ft_one: %zu tokens as ft_mint makes them, %zu too long for it\n", minted, refused);
    ft_minter_free(minter);
    return 0;
}
