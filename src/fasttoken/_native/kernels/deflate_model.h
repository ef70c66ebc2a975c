/* Tokens of one kind are alike: most bytes of a payload stand where they stood in the one before.
 * A model is an earlier payload of the same length together with all that follows from the bytes
 * in which payloads did not differ: matches, counts, bits of the fixed block.  When it may be
 * used, and why nothing changes by it: docs/deflate.md, section "Models".
 * Included by deflate_encoder.h only. */

enum {
    MODEL_LEAST = 32,   /* bytes of a payload that is worth a model */
    MODEL_CREDIT = 64,  /* a model gives way after as many payloads that it was of no use for */
    MODEL_FAILURES = 8, /* payloads that could not become the model before giving up */
    MODEL_PAUSE = 250,  /* payloads that pass before another attempt */
    NOWHERE = UINT16_MAX,
    UNIT_BITS = 56
};

/* ------------------------------------------------------------------ may it be used? */

/* The window at i has the hash of another one.  Are its bytes others, and so few windows of that
 * hash that no search runs out of its budget? */
static int is_alone(const ft_deflate_work *w, size_t windows, size_t i)
{
    const uint8_t *in = w->window, a = in[i], b = in[i + 1], c = in[i + 2];
    const uint16_t hash = w->hash[i];
    unsigned same_hash = 0, same_bytes = 0;
    for (size_t k = 0; k < windows; k++) same_hash += w->hash[k] == hash;
    for (size_t k = 0; k < windows; k++)
        same_bytes += (in[k] == a) & (in[k + 1] == b) & (in[k + 2] == c);
    return same_bytes == 1 && same_hash <= CHAIN_BUDGET / 4;
}

/* Does no window that holds a differing byte occur a second time?  If one does, m->met says
 * where it stands. */
static int differ_alone(ft_deflate_model *m, const ft_deflate_work *w)
{
    uint64_t *const seen = m->seen;
    const uint16_t *const at = m->differing, *const end = at + m->differing_count;
    uint16_t again[FT_DEFLATE_MODEL_MAX];
    unsigned repeated = 0;
    for (const uint16_t *i = at; i < end; i++) {
        const unsigned hash = w->hash[*i];
        const uint64_t before = seen[hash / 64];
        seen[hash / 64] = before | (uint64_t)1 << hash % 64;
        again[repeated] = *i;
        repeated += before >> hash % 64 & 1;
    }
    for (const uint16_t *i = at; i < end; i++)
        seen[w->hash[*i] / 64] = m->constant[w->hash[*i] / 64];
    for (unsigned k = 0; k < repeated; k++)
        if (!is_alone(w, m->windows, again[k])) {
            m->met = again[k];
            return 0;
        }
    return 1;
}

static int same_where_constant(const ft_deflate_model *m, const ft_deflate_work *w)
{
    uint8_t differs = 0;
    for (size_t k = 0; k < m->n; k++)
        differs |= (uint8_t)((w->window[k] ^ m->payload[k]) & m->same[k]);
    return !differs;
}

/* The model of the payload in the window, NULL if there is none. */
static ft_deflate_model *find_model(size_t n, ft_deflate_work *w)
{
    ft_deflate_model *general = w->models[n % FT_DEFLATE_MODELS], *special = general + 1;
    if (general->n != n || !general->ready) return NULL;
    ft_deflate_model *m = special->ready && same_where_constant(special, w)   ? special
                          : same_where_constant(general, w) ? general
                                                            : NULL;
    if (!m) return NULL;
    general->met = NOWHERE;
    if (!differ_alone(m, w)) {
        if (m->credit) m->credit--;
        return NULL;
    }
    if (m->credit < MODEL_CREDIT) m->credit++;
    return m;
}

/* ------------------------------------------------------------------ what follows from it */

static void count_model(const ft_deflate_model *m, const ft_deflate_work *w, ft_deflate_counts *c)
{
    memcpy(c, &m->counts, sizeof *c);
    uint32_t logs = c->literal_logs;
    for (unsigned k = 0; k < m->steps; k++) {
        const uint8_t *in = w->window + m->step[k].from, *end = w->window + m->step[k].to;
        while (in < end) count_one(&c->literal[*in++], w->log_step, &logs);
    }
    c->literal_logs = logs;
}

static void put_model(bit_writer *writer, const ft_deflate_model *m, const ft_deflate_work *w)
{
    bit_writer b = *writer;
    const uint64_t *unit = m->unit;
    for (unsigned k = 0; k < m->steps; k++) {
        const ft_deflate_step step = m->step[k];
        put_literals(&b, w->window + step.from, step.to - step.from, w->fixed_code, 4);
        for (unsigned u = 0; u < step.units; u++) put_bits(&b, *unit++, UNIT_BITS);
        put_bits(&b, *unit++, step.last_bits);
    }
    *writer = b;
}

/* ------------------------------------------------------------------ learning */

/* Bits into units; those of a step begin with a new one. */
static void put_unit_bits(ft_deflate_model *m, unsigned *units, uint64_t bits, unsigned count)
{
    ft_deflate_step *step = &m->step[m->steps - 1];
    uint64_t *unit = &m->unit[*units];
    *unit |= bits << step->last_bits & (((uint64_t)1 << UNIT_BITS) - 1);
    if (step->last_bits + count < UNIT_BITS) {
        step->last_bits = (uint8_t)(step->last_bits + count);
        return;
    }
    unsigned fitted = UNIT_BITS - step->last_bits;
    unit[1] = bits >> fitted;
    step->last_bits = (uint8_t)(count - fitted);
    step->units++;
    ++*units;
}

/* Counts and writes the symbols that are in every payload of the model.  Returns 0 if there are
 * too many. */
static int follow_parse(ft_deflate_model *m, const ft_deflate_work *w)
{
    const ft_deflate_match *match = w->matches, *end = match + w->match_count;
    const uint8_t *in = w->window;
    ft_deflate_counts *c = &m->counts;
    unsigned units = 0;
    memset(c, 0, sizeof *c);
    memset(m->unit, 0, sizeof m->unit);
    c->symbols = (unsigned)(w->literal_count + w->match_count + 1);
    c->matches = (unsigned)w->match_count;
    if (c->symbols > 255) return 0;
    m->steps = 1;
    m->step[0] = (ft_deflate_step){0, 0, 0, 0};
    for (size_t i = 0; i < m->n;) {
        ft_deflate_step *step = &m->step[m->steps - 1];
        if (!m->same[i]) {
            if (step->to != i || step->units || step->last_bits) {
                if (m->steps == FT_DEFLATE_STEPS) return 0;
                units++;
                *++step = (ft_deflate_step){(uint16_t)i, (uint16_t)i, 0, 0};
                m->steps++;
            }
            step->to = (uint16_t)++i;
            continue;
        }
        uint8_t symbol[16];
        bit_writer b = {symbol, 0, 0};
        if (match < end && i == match->at) {
            count_one(&c->literal[END_OF_BLOCK + 1 + match->length_code], w->log_step,
                      &c->literal_logs);
            count_one(&c->distance[match->distance_code], w->log_step, &c->distance_logs);
            c->extra_bits += length_extra(match->length_code);
            c->extra_bits += distance_extra(match->distance_code);
            put_match(&b, match, w->fixed_code, w->fixed_distance_code);
            i += match++->length;
        } else {
            count_one(&c->literal[in[i]], w->log_step, &c->literal_logs);
            put_code(&b, w->fixed_code[in[i++]]);
        }
        put_unit_bits(m, &units, load64le(symbol), (unsigned)(b.out - symbol) * 8 + b.count);
    }
    c->literal[END_OF_BLOCK]++;
    put_unit_bits(m, &units, CODE_BITS(w->fixed_code[END_OF_BLOCK]),
                  CODE_LENGTH(w->fixed_code[END_OF_BLOCK]));
    return 1;
}

/* Tells the windows with a differing byte from the others, and enters the others. */
static void part_windows(ft_deflate_model *m, const ft_deflate_work *w)
{
    memset(m->constant, 0, sizeof m->constant);
    m->differing_count = 0;
    for (size_t i = 0; i < m->windows; i++) {
        if (m->same[i] & m->same[i + 1] & m->same[i + 2])
            m->constant[w->hash[i] / 64] |= (uint64_t)1 << w->hash[i] % 64;
        else
            m->differing[m->differing_count++] = (uint16_t)i;
    }
    memcpy(m->seen, m->constant, sizeof m->seen);
}

/* Makes the payload in the window, just parsed, the one of the model, whose m->same is known. */
static void set_model(ft_deflate_model *m, const ft_deflate_work *w)
{
    memcpy(m->payload, w->window, m->n);
    part_windows(m, w);
    m->ready = m->differing_count <= m->n * 3 / 4 && differ_alone(m, w) && follow_parse(m, w);
    m->match_count = (uint16_t)w->match_count;
    m->literal_count = (uint16_t)w->literal_count;
    memcpy(m->matches, w->matches, w->match_count * sizeof *w->matches);
    m->credit = MODEL_CREDIT / 2;
}

/* Leaves the payloads of this kind alone for a while. */
static void give_up(ft_deflate_model *m)
{
    m->n = 0;
    m->ready = 0;
    m->credit = 0;
    m->pause = MODEL_PAUSE;
}

/* A differing byte may have one value so often that it is worth a model in which it is constant:
 * when the window that was not alone is the one of last time, with the same bytes. */
static void learn_special(const ft_deflate_model *general, ft_deflate_model *special,
                          const ft_deflate_work *w)
{
    const unsigned at = general->met;
    const uint8_t *bytes = w->window + at;
    if (at == NOWHERE) return;
    if (special->ready && special->credit) {
        special->credit--;
        return;
    }
    special->ready = 0;
    if (special->n == general->n && special->special == at &&
        !memcmp(special->payload + at, bytes, MIN_MATCH)) {
        memcpy(special->same, general->same, sizeof special->same);
        memset(special->same + at, 0xff, MIN_MATCH);
        set_model(special, w);
        return;
    }
    special->n = general->n;
    special->windows = general->windows;
    special->special = (uint16_t)at;
    memcpy(special->payload + at, bytes, MIN_MATCH);
}

/* For a payload in the window that has just been parsed: makes it the model of its length, if
 * there is none yet or it differs where payloads did not differ before. */
static void learn_model(size_t n, ft_deflate_work *w)
{
    if (n < MODEL_LEAST || n > FT_DEFLATE_MODEL_MAX) return;
    ft_deflate_model *m = w->models[n % FT_DEFLATE_MODELS], *special = m + 1;
    if (m->pause) {
        m->pause--;
        return;
    }
    if (m->n != n) {
        if (m->credit) {
            m->credit--;
            return;
        }
        m->n = (uint16_t)n;
        m->windows = (uint16_t)(n - (MIN_MATCH - 1));
        m->ready = m->failures = special->ready = 0;
        memset(m->same, 0xff, sizeof m->same);
        memcpy(m->payload, w->window, n);
        return;
    }
    int news = 0;
    for (size_t k = 0; k < n; k++)
        if (m->same[k] && m->payload[k] != w->window[k]) m->same[k] = 0, news = 1;
    if (m->ready && !news) { /* a window was not alone */
        if (m->credit)
            learn_special(m, special, w);
        else
            give_up(m);
        return;
    }
    special->ready = 0;
    set_model(m, w);
    if (m->ready) return;
    if (m->differing_count > n * 3 / 4 || ++m->failures == MODEL_FAILURES) give_up(m);
}
