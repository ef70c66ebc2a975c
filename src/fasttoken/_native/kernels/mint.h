/* A batch of tokens: bodies filled from columns, signed, compressed and encoded, block by block,
 * into one buffer. Knows two envelopes (006 and 007) and nothing of services. */
#ifndef FT_MINT_H
#define FT_MINT_H

#include <stddef.h>
#include <stdint.h>

#include "deflate.h"
#include "hmac.h"

/* The numbers are those of SlotKind in fasttoken/_pure/batch.py; FT_CONSTANT is the segment that
 * is no slot. */
typedef enum {
    FT_U32 = 0,
    FT_I16 = 1,
    FT_STR = 2,
    FT_RAW = 3,
    FT_ISSUE_TS = 4,
    FT_SALT = 5,
    FT_CONSTANT = 6
} ft_slot_kind;

typedef enum { FT_ACCESS_TOKEN = 6, FT_ACCESS_TOKEN2 = 7 } ft_envelope;

typedef struct {
    ft_slot_kind kind;
    size_t column;        /* of a slot that has one */
    const uint8_t *bytes; /* of a constant */
    size_t n;
} ft_segment;

typedef struct {
    const ft_segment *segments;
    size_t count;
    size_t fixed; /* bytes that are the same size in every row */
} ft_variant;

typedef struct {
    ft_envelope envelope;
    const char *prefix;
    size_t prefix_n;
    const ft_variant *variants;
    size_t variant_count;
} ft_layout;

typedef enum { FT_COLUMN_U32, FT_COLUMN_I16, FT_COLUMN_TEXT32, FT_COLUMN_TEXT64 } ft_column_type;

/* A column: numbers, or texts as data and offsets of 32 or 64 bits. */
typedef struct {
    ft_column_type type;
    const void *values; /* the numbers, or the offsets (one more than rows) */
    const uint8_t *data;
    size_t data_n;
} ft_column;

typedef struct {
    const uint8_t *certificate; /* its text */
    size_t certificate_n;
    const ft_hmac_key *certificate_key; /* its key state */
    const uint8_t *key1;                /* its HMAC under issue_ts[0], if known, else NULL */
    const uint32_t *issue_ts;
    int issue_ts_varies; /* one a row, or one for all */
    const uint32_t *salts;
    const ft_column *columns;
    const uint8_t *choices; /* the variant of each row, or NULL: the first */
    const uint8_t *skip;    /* non-zero: no token for this row; or NULL */
} ft_rows;

/* The tokens, one after the other. */
typedef struct {
    char *data;
    size_t size, capacity;
    int fixed; /* else it grows by realloc */
} ft_output;

typedef enum {
    FT_MINT_OK = 0,
    FT_MINT_NO_MEMORY,
    FT_MINT_TOO_LONG,   /* `value` bytes don't fit a u16 length */
    FT_MINT_BAD_OFFSET, /* a text lies outside its data */
    FT_MINT_NO_DEFLATE, /* the caller's encoder for long payloads failed */
    FT_MINT_NO_ROOM     /* the output is fixed, and too small */
} ft_mint_status;

typedef struct {
    ft_mint_status status;
    size_t value;
} ft_mint_result;

/* Writes the zlib stream of a payload longer than FT_DEFLATE_MAX (at most `capacity` bytes) and
 * returns its size, 0 on failure. */
typedef size_t (*ft_deflate_long)(const uint8_t *in, size_t n, uint8_t *out, size_t capacity);

/* Working memory: one per thread. NULL if there is none. */
typedef struct ft_minter ft_minter;
ft_minter *ft_minter_new(void);
void ft_minter_free(ft_minter *minter);
ft_deflate_work *ft_minter_deflate(ft_minter *minter);

/* Appends the tokens of rows start..stop to `output`; offsets[i] is where row start + i begins,
 * offsets[stop - start] where the last one ends. */
ft_mint_result ft_mint(ft_minter *minter, const ft_layout *layout, const ft_rows *rows,
                       size_t start, size_t stop, ft_output *output, int64_t *offsets,
                       ft_deflate_long deflate_long);

/* As many bytes as the tokens of rows start..stop take at most. */
size_t ft_mint_bound(const ft_layout *layout, const ft_column *columns, size_t start, size_t stop);

/* A rough size of a zlib stream of n bytes that no encoder exceeds. */
size_t ft_stream_bound(size_t n);

#endif
