/* Which 007 tokens of a column are plainly acceptable: well-formed, signed by a known certificate,
 * in their time, for the channel and the user that were asked. Everything else needs a second
 * look, which says why. Knows no service by name: patterns say what to look for. */
#ifndef FT_ACCEPT_H
#define FT_ACCEPT_H

#include <stddef.h>
#include <stdint.h>

#include "mint.h"

typedef struct {
    const uint8_t *allowed; /* 256 entries: not 0 if the byte may stand in the text */
    size_t longest;
    int asked; /* which text was asked for: 0 none, 1 the channel, 2 the user */
} ft_pattern_field;

/* A service: its type, the privilege without which it is of no use, those of which it needs
 * another (none if one_of_n is 0), and its texts. */
typedef struct {
    uint16_t type, entry;
    const uint16_t *one_of;
    size_t one_of_n;
    const ft_pattern_field *fields;
    size_t field_n;
} ft_pattern;

/* What was asked: nothing (column NULL), one value for all rows, or one a row. */
typedef struct {
    const ft_column *column;
    int varies;
} ft_asked;

typedef struct {
    const ft_pattern *patterns; /* the first must stand in a token; the others may follow */
    size_t pattern_n;
    const uint8_t *app_id;
    size_t app_id_n;
    const uint8_t *certificates[2];
    size_t certificate_n[2];
    size_t certificate_count;
    int64_t now, leeway;
    uint32_t longest_lifetime;
    size_t longest_token;
    ft_asked asked[2]; /* the channel, the user */
} ft_question;

/* For rows start..stop of the column: which[i] = 0 if row start + i needs a second look, else 1 +
 * the certificate that signed it; ends[i] = when it ends, in Unix seconds. Returns 0 if there is
 * no memory. */
int ft_accept(const ft_question *question, const ft_column *tokens,
              size_t start, size_t stop, uint8_t *which, int64_t *ends);

#endif
