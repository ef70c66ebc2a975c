#include "mint.h"

#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "crc32.h"

#define BLOCK 128             /* rows packed, signed and compressed together */
#define BLOCK_BYTES (1 << 20) /* and no more bytes of bodies than this, unless one row has more */
#define SIGNATURE 32
#define HEAD (2 + SIGNATURE) /* str(signature), which stands before a body */

typedef struct {
    uint8_t *bytes;
    size_t capacity;
} arena;

struct ft_minter {
    ft_deflate_work deflate;
    arena bodies, streams;
    /* One entry for each row of the block that gets a token. */
    uint8_t *body[BLOCK], *stream[BLOCK];
    size_t body_n[BLOCK], payload_n[BLOCK], stream_n[BLOCK];
    size_t message_at[BLOCK]; /* 006: where the message begins in the body */
    uint32_t channel_crc[BLOCK], uid_crc[BLOCK];
    uint32_t salt[BLOCK];
    uint8_t mac[BLOCK][SIGNATURE];
};

ft_minter *ft_minter_new(void) {
    ft_minter *minter = malloc(sizeof *minter);
    if (minter == NULL) return NULL;
    ft_deflate_work_init(&minter->deflate);
    minter->bodies = minter->streams = (arena){NULL, 0};
    return minter;
}

void ft_minter_free(ft_minter *minter) {
    if (minter == NULL) return;
    free(minter->bodies.bytes);
    free(minter->streams.bytes);
    free(minter);
}

ft_deflate_work *ft_minter_deflate(ft_minter *minter) { return &minter->deflate; }

size_t ft_stream_bound(size_t n) { return n + n / 1000 + 64; }

static int reserve(arena *a, size_t n) {
    if (n <= a->capacity) return 1;
    uint8_t *bytes = realloc(a->bytes, n);
    if (bytes == NULL) return 0;
    a->bytes = bytes;
    a->capacity = n;
    return 1;
}

static int reserve_output(ft_output *output, size_t more) {
    if (more <= output->capacity - output->size) return 1;
    if (output->fixed) return 0;
    size_t capacity = output->size + more;
    if (capacity < output->capacity + output->capacity / 4)
        capacity = output->capacity + output->capacity / 4;
    char *data = realloc(output->data, capacity);
    if (data == NULL) return 0;
    output->data = data;
    output->capacity = capacity;
    return 1;
}

static void put16(uint8_t *out, uint32_t value) {
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *out, uint32_t value) {
    put16(out, value);
    put16(out + 2, value >> 16);
}

static size_t decimal_size(uint32_t value) {
    size_t digits = 0;
    for (; value; value /= 10) digits++;
    return digits; /* 0 is written as nothing */
}

static void put_decimal(uint8_t *out, size_t digits, uint32_t value) {
    while (digits--) {
        out[digits] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

/* The text of a row: sets *text (NULL for a number, whose value goes to *number) and *n. */
static int text_of(const ft_column *column, size_t row, const uint8_t **text, size_t *n,
                   uint32_t *number) {
    int64_t from, to;
    if (column->type == FT_COLUMN_U32) {
        *text = NULL;
        *number = ((const uint32_t *)column->values)[row];
        *n = decimal_size(*number);
        return 1;
    }
    if (column->type == FT_COLUMN_TEXT32) {
        from = ((const int32_t *)column->values)[row];
        to = ((const int32_t *)column->values)[row + 1];
    } else {
        from = ((const int64_t *)column->values)[row];
        to = ((const int64_t *)column->values)[row + 1];
    }
    if (from < 0 || to < from || (uint64_t)to > column->data_n) return 0;
    *text = column->data + from;
    *n = (size_t)(to - from);
    return 1;
}

/* The size of a row's body; 006: and that of what stands before its message. */
static ft_mint_result measure(const ft_layout *layout, const ft_variant *variant,
                              const ft_rows *rows, size_t row, size_t *size,
                              size_t *message_at) {
    size_t before = 0;
    *size = variant->fixed;
    for (size_t s = 0; s < variant->count; s++) {
        const ft_segment *segment = &variant->segments[s];
        const uint8_t *text;
        size_t n;
        uint32_t number;
        if (s < 3) before += segment->n;
        if (segment->kind != FT_STR && segment->kind != FT_RAW) continue;
        if (!text_of(&rows->columns[segment->column], row, &text, &n, &number))
            return (ft_mint_result){FT_MINT_BAD_OFFSET, row};
        if (segment->kind == FT_STR && n > 0xffff) return (ft_mint_result){FT_MINT_TOO_LONG, n};
        *size += n;
        if (s < 3) before += n;
    }
    *message_at = before;
    if (layout->envelope == FT_ACCESS_TOKEN && *size - before > 0xffff)
        return (ft_mint_result){FT_MINT_TOO_LONG, *size - before};
    return (ft_mint_result){FT_MINT_OK, 0};
}

/* Writes a row's body, which measure() found good; ends[s] is where segment s ends, for the
 * first three. */
static void fill(const ft_variant *variant, const ft_rows *rows, size_t row, uint8_t *out,
                 uint8_t *ends[3]) {
    for (size_t s = 0; s < variant->count; s++) {
        const ft_segment *segment = &variant->segments[s];
        const ft_column *column = &rows->columns[segment->column];
        const uint8_t *text;
        size_t n;
        uint32_t number = 0;
        switch (segment->kind) {
        case FT_CONSTANT:
            memcpy(out, segment->bytes, segment->n);
            out += segment->n;
            break;
        case FT_U32:
            put32(out, ((const uint32_t *)column->values)[row]);
            out += 4;
            break;
        case FT_I16:
            put16(out, (uint16_t)((const int16_t *)column->values)[row]);
            out += 2;
            break;
        case FT_ISSUE_TS:
            put32(out, rows->issue_ts[rows->issue_ts_varies ? row : 0]);
            out += 4;
            break;
        case FT_SALT:
            put32(out, rows->salts[row]);
            out += 4;
            break;
        case FT_STR:
        case FT_RAW:
            if (!text_of(column, row, &text, &n, &number)) break;
            if (segment->kind == FT_STR) {
                put16(out, (uint32_t)n);
                out += 2;
            }
            if (text == NULL)
                put_decimal(out, n, number);
            else if (n)
                memcpy(out, text, n);
            out += n;
            break;
        }
        if (s < 3) ends[s] = out;
    }
}

/* key1 = HMAC(u32(issue timestamp), certificate), which all tokens of a timestamp share. */
static void derive_key1(const ft_rows *rows, uint32_t issue_ts, uint8_t key1[SIGNATURE]) {
    ft_hmac_key key;
    uint8_t timestamp[4];
    put32(timestamp, issue_ts);
    ft_hmac_key_init(&key, timestamp, sizeof timestamp);
    ft_hmac(&key, rows->certificate, rows->certificate_n, key1);
    ft_hmac_key_wipe(&key);
}

static void sign_007(ft_minter *minter, const ft_rows *rows, const size_t *row_of, size_t count) {
    uint8_t key1[SIGNATURE];
    for (size_t i = 0, end; i < count; i = end) {
        uint32_t issue_ts = rows->issue_ts[rows->issue_ts_varies ? row_of[i] : 0];
        end = i + 1;
        while (end < count && (!rows->issue_ts_varies || rows->issue_ts[row_of[end]] == issue_ts))
            end++;
        if (rows->key1)
            memcpy(key1, rows->key1, sizeof key1);
        else
            derive_key1(rows, issue_ts, key1);
        ft_sign_007_many(key1, minter->salt + i, (const uint8_t *const *)minter->body + i,
                         minter->body_n + i, minter->mac + i, end - i);
    }
    ft_wipe(key1, sizeof key1);
}

static void sign_006(ft_minter *minter, const ft_rows *rows, size_t count) {
    ft_hmac_many(rows->certificate_key, 0, (const uint8_t *const *)minter->body, minter->body_n,
                 minter->mac, count);
}

/* 007: the stream of str(signature) and body. */
static ft_mint_result compress(ft_minter *minter, size_t count, ft_deflate_long deflate_long) {
    size_t total = 0, longest = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *head = minter->body[i] - HEAD;
        put16(head, SIGNATURE);
        memcpy(head + 2, minter->mac[i], SIGNATURE);
        minter->payload_n[i] = HEAD + minter->body_n[i];
        if (minter->payload_n[i] > longest) longest = minter->payload_n[i];
        total += ft_zlib_bound(minter->payload_n[i]) + ft_stream_bound(minter->payload_n[i]);
    }
    if (!reserve(&minter->streams, total)) return (ft_mint_result){FT_MINT_NO_MEMORY, 0};
    uint8_t *out = minter->streams.bytes;
    const uint8_t *payloads[BLOCK];
    for (size_t i = 0; i < count; i++) {
        payloads[i] = minter->body[i] - HEAD;
        minter->stream[i] = out;
        out += ft_zlib_bound(minter->payload_n[i]) + ft_stream_bound(minter->payload_n[i]);
    }
    if (longest <= FT_DEFLATE_MAX) {
        ft_zlib_many(payloads, minter->payload_n, minter->stream, minter->stream_n, count,
                     &minter->deflate);
        return (ft_mint_result){FT_MINT_OK, 0};
    }
    for (size_t i = 0; i < count; i++) {
        size_t n = minter->payload_n[i];
        minter->stream_n[i] =
            n <= FT_DEFLATE_MAX
                ? ft_zlib(payloads[i], n, minter->stream[i], &minter->deflate)
                : deflate_long(payloads[i], n, minter->stream[i], ft_stream_bound(n));
        if (minter->stream_n[i] == 0) return (ft_mint_result){FT_MINT_NO_DEFLATE, 0};
    }
    return (ft_mint_result){FT_MINT_OK, 0};
}

/* 006: str(signature), the check sums of channel name and uid, str(message). */
static ft_mint_result envelop(ft_minter *minter, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = minter->body_n[i] - minter->message_at[i];
        minter->stream_n[i] = HEAD + 8 + 2 + n;
        total += minter->stream_n[i];
    }
    if (!reserve(&minter->streams, total)) return (ft_mint_result){FT_MINT_NO_MEMORY, 0};
    uint8_t *out = minter->streams.bytes;
    for (size_t i = 0; i < count; i++) {
        size_t n = minter->body_n[i] - minter->message_at[i];
        minter->stream[i] = out;
        put16(out, SIGNATURE);
        memcpy(out + 2, minter->mac[i], SIGNATURE);
        put32(out + HEAD, minter->channel_crc[i]);
        put32(out + HEAD + 4, minter->uid_crc[i]);
        put16(out + HEAD + 8, (uint32_t)n);
        memcpy(out + HEAD + 10, minter->body[i] + minter->message_at[i], n);
        out += minter->stream_n[i];
    }
    return (ft_mint_result){FT_MINT_OK, 0};
}

/* The bytes of the texts of rows start..stop, 0 if they lie outside their data. */
static size_t text_bytes(const ft_column *column, size_t start, size_t stop) {
    int64_t from, to;
    if (column->type == FT_COLUMN_U32) return 10 * (stop - start); /* digits */
    if (column->type == FT_COLUMN_TEXT32) {
        from = ((const int32_t *)column->values)[start];
        to = ((const int32_t *)column->values)[stop];
    } else {
        from = ((const int64_t *)column->values)[start];
        to = ((const int64_t *)column->values)[stop];
    }
    return from < 0 || to < from || (uint64_t)to > column->data_n ? 0 : (size_t)(to - from);
}

/* The segments of a body that a token holds: 006 tokens do without the first three. */
static size_t first_held(const ft_layout *layout) {
    return layout->envelope == FT_ACCESS_TOKEN ? 3 : 0;
}

static int is_text(const ft_segment *segment) {
    return segment->kind == FT_STR || segment->kind == FT_RAW;
}

/* How often a token of a variant holds a column as text. */
static size_t uses(const ft_layout *layout, const ft_variant *variant, size_t column) {
    size_t count = 0;
    for (size_t s = first_held(layout); s < variant->count; s++)
        count += is_text(&variant->segments[s]) && variant->segments[s].column == column;
    return count;
}

/* 44 bytes at most stand before a body; the stream of a 007 token is at most 16 bytes and a
 * thousandth longer than what it holds (a stored block); base64 makes four bytes of three. */
size_t ft_mint_bound(const ft_layout *layout, const ft_column *columns, size_t start, size_t stop) {
    const size_t rows = stop - start;
    size_t most = 0, columns_end = 0, bytes = 0;
    for (size_t v = 0; v < layout->variant_count; v++) {
        const ft_variant *variant = &layout->variants[v];
        size_t fixed = variant->fixed;
        for (size_t s = 0; s < first_held(layout); s++) fixed -= variant->segments[s].n;
        if (fixed > most) most = fixed;
        for (size_t s = 0; s < variant->count; s++)
            if (is_text(&variant->segments[s]) && variant->segments[s].column >= columns_end)
                columns_end = variant->segments[s].column + 1;
    }
    for (size_t column = 0; column < columns_end; column++) {
        size_t times = 0;
        for (size_t v = 0; v < layout->variant_count; v++) {
            size_t n = uses(layout, &layout->variants[v], column);
            if (n > times) times = n;
        }
        if (times) bytes += times * text_bytes(&columns[column], start, stop);
    }
    bytes += rows * (most + HEAD + 10);
    if (layout->envelope == FT_ACCESS_TOKEN2) bytes += bytes / 1000 + 16 * rows;
    return bytes / 3 * 4 + rows * (layout->prefix_n + 4) + 4;
}

ft_mint_result ft_mint(ft_minter *minter, const ft_layout *layout, const ft_rows *rows,
                       size_t start, size_t stop, ft_output *output, int64_t *offsets,
                       ft_deflate_long deflate_long) {
    const ft_mint_result no_memory = {FT_MINT_NO_MEMORY, 0};
    size_t row_of[BLOCK];
    for (size_t row = start; row < stop;) {
        size_t first = row, count = 0, bytes = 0;
        /* Which rows make this block, and how large their bodies are. */
        for (; row < stop && count < BLOCK && row - first < 4 * BLOCK; row++) {
            if (rows->skip && rows->skip[row]) continue;
            const ft_variant *variant = &layout->variants[rows->choices ? rows->choices[row] : 0];
            ft_mint_result measured = measure(layout, variant, rows, row, &minter->body_n[count],
                                              &minter->message_at[count]);
            if (measured.status != FT_MINT_OK) return measured;
            if (count && bytes + HEAD + minter->body_n[count] > BLOCK_BYTES) break;
            bytes += HEAD + minter->body_n[count];
            row_of[count++] = row;
        }
        if (!reserve(&minter->bodies, bytes)) return no_memory;
        uint8_t *at = minter->bodies.bytes;
        for (size_t i = 0; i < count; i++) {
            const ft_variant *variant =
                &layout->variants[rows->choices ? rows->choices[row_of[i]] : 0];
            uint8_t *ends[3] = {at, at, at};
            minter->body[i] = at += HEAD;
            minter->salt[i] = rows->salts[row_of[i]];
            fill(variant, rows, row_of[i], at, ends);
            if (layout->envelope == FT_ACCESS_TOKEN) {
                minter->channel_crc[i] = ft_crc32(ends[0], (size_t)(ends[1] - ends[0]));
                minter->uid_crc[i] = ft_crc32(ends[1], (size_t)(ends[2] - ends[1]));
            }
            at += minter->body_n[i];
        }
        ft_mint_result sealed;
        if (layout->envelope == FT_ACCESS_TOKEN2) {
            sign_007(minter, rows, row_of, count);
            sealed = compress(minter, count, deflate_long);
        } else {
            sign_006(minter, rows, count);
            sealed = envelop(minter, count);
        }
        if (sealed.status != FT_MINT_OK) return sealed;
        size_t most = 0;
        for (size_t i = 0; i < count; i++)
            most += layout->prefix_n + ft_base64_size(minter->stream_n[i]);
        if (!reserve_output(output, most))
            return (ft_mint_result){output->fixed ? FT_MINT_NO_ROOM : FT_MINT_NO_MEMORY, 0};
        for (size_t i = 0, r = first; r < row; r++) {
            offsets[r - start] = (int64_t)output->size;
            if (i == count || row_of[i] != r) continue;
            char *out = output->data + output->size;
            memcpy(out, layout->prefix, layout->prefix_n);
            ft_base64_encode(minter->stream[i], minter->stream_n[i], out + layout->prefix_n);
            output->size += layout->prefix_n + ft_base64_size(minter->stream_n[i]);
            i++;
        }
    }
    offsets[stop - start] = (int64_t)output->size;
    return (ft_mint_result){FT_MINT_OK, 0};
}
