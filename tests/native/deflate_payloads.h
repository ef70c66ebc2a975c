/* Payloads for the tests of the DEFLATE encoder: AccessToken2 payloads as the builders make
 * them, and adversarial ones.  Everything follows from the seed. */
#ifndef DEFLATE_PAYLOADS_H
#define DEFLATE_PAYLOADS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_MAX 4096

typedef struct {
    uint64_t state;
} rng;

/* splitmix64 */
static uint64_t next64(rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t below(rng *r, uint32_t bound)
{
    return (uint32_t)((next64(r) >> 32) * bound >> 32);
}

/* ------------------------------------------------------------------ token payloads */

typedef struct {
    uint8_t *p; /* next byte */
    uint8_t *end;
} packer;

static void put8(packer *k, unsigned x)
{
    if (k->p < k->end) *k->p++ = (uint8_t)x;
}
static void put16(packer *k, unsigned x) { put8(k, x), put8(k, x >> 8); }
static void put32(packer *k, uint32_t x) { put16(k, x & 0xffff), put16(k, x >> 16); }

static void put_text(packer *k, const char *text)
{
    size_t n = strlen(text);
    put16(k, (unsigned)n);
    for (size_t i = 0; i < n; i++) put8(k, (uint8_t)text[i]);
}

static void put_random_text(packer *k, rng *r, size_t n, const char *alphabet)
{
    uint32_t letters = (uint32_t)strlen(alphabet);
    put16(k, (unsigned)n);
    for (size_t i = 0; i < n; i++) put8(k, (uint8_t)alphabet[below(r, letters)]);
}

#define HEX "0123456789abcdef"
#define HEX_BOTH "0123456789abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define CHANNEL_LETTERS LETTERS " !#$%&()+-:;<=.>?@[]^_{}|~,"

static uint32_t random_expiry(rng *r)
{
    static const uint32_t usual[] = {0, 40, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400};
    return below(r, 8) ? usual[below(r, 10)] : below(r, 90000);
}

/* What a project uses for all of its tokens. */
typedef struct {
    char app_id[33];
    char channel_prefix[40];
    int channel_style, user_style;
    uint32_t issue_ts, expire, privilege_expire;
} project;

static project random_project(rng *r)
{
    static const char *prefixes[] = {"room-", "event-2026-keynote-room-", "class_", "live:", ""};
    project p;
    const char *alphabet = below(r, 4) ? HEX : HEX_BOTH;
    for (int i = 0; i < 32; i++) p.app_id[i] = alphabet[below(r, (uint32_t)strlen(alphabet))];
    p.app_id[32] = 0;
    strcpy(p.channel_prefix, prefixes[below(r, 5)]);
    p.channel_style = (int)below(r, 5);
    p.user_style = (int)below(r, 4);
    p.issue_ts = 1600000000u + below(r, 300000000);
    p.expire = random_expiry(r);
    p.privilege_expire = below(r, 3) ? p.expire : random_expiry(r);
    return p;
}

static void put_channel(packer *k, rng *r, const project *p)
{
    char text[80];
    switch (p->channel_style) {
    case 0: put_random_text(k, r, 32, HEX); break;
    case 1: put_random_text(k, r, 1 + below(r, 64), LETTERS); break;
    case 2: put_random_text(k, r, 1 + below(r, 64), CHANNEL_LETTERS); break;
    case 3:
        snprintf(text, sizeof text, "%s%u", p->channel_prefix, below(r, 100000));
        put_text(k, text);
        break;
    default: /* one channel for the whole project */
        snprintf(text, sizeof text, "%smain-channel", p->channel_prefix);
        put_text(k, text);
    }
}

static void put_user(packer *k, rng *r, const project *p)
{
    char text[80];
    switch (p->user_style) {
    case 0:
        snprintf(text, sizeof text, "%u", 1000000000u + below(r, 3294967295u));
        put_text(k, text);
        break;
    case 1:
        snprintf(text, sizeof text, "%u", below(r, 100000));
        put_text(k, below(r, 50) ? text : "");
        break;
    case 2:
        snprintf(text, sizeof text, "user-%u", below(r, 1000000));
        put_text(k, text);
        break;
    default: put_random_text(k, r, 1 + below(r, 40), LETTERS);
    }
}

static void put_privileges(packer *k, unsigned count, uint32_t value)
{
    put16(k, count);
    for (unsigned i = 1; i <= count; i++) put16(k, i), put32(k, value);
}

static void put_service(packer *k, rng *r, const project *p, unsigned type)
{
    put16(k, type);
    switch (type) {
    case 1:
        put_privileges(k, below(r, 4) ? 4 : 1, p->privilege_expire);
        put_channel(k, r, p), put_user(k, r, p);
        break;
    case 2: put_privileges(k, 1, p->expire), put_user(k, r, p); break;
    case 3:
    case 6:
        put_privileges(k, 1 + below(r, 2), p->privilege_expire);
        put_channel(k, r, p), put_user(k, r, p);
        break;
    case 4: put_privileges(k, 1, 0); break;
    case 5:
        put16(k, 1), put16(k, 1 + below(r, 2)), put32(k, p->expire);
        put_random_text(k, r, below(r, 2) ? 32 : 0, HEX);
        break;
    case 7:
        put16(k, 1), put16(k, 1 + below(r, 3)), put32(k, p->expire);
        put_channel(k, r, p), put_user(k, r, p), put16(k, below(r, 3) - 1);
        break;
    case 8: {
        put_privileges(k, 1, p->expire), put_user(k, r, p);
        unsigned resources = below(r, 4);
        put16(k, resources);
        for (unsigned a = 0; a < resources; a++) {
            unsigned permissions = 1 + below(r, 2);
            put16(k, a), put16(k, permissions);
            for (unsigned b = 0; b < permissions; b++) {
                unsigned names = below(r, 5);
                put16(k, b), put16(k, names);
                while (names--) put_channel(k, r, p);
            }
        }
        break;
    }
    default: put16(k, 0);
    }
}

/* One payload; `mix` chooses the services: 0 RTC publisher, 1 RTC subscriber, 2 RTC + RTM,
 * 3 RTC with its own expiries + RTM, 4 RTM2, 5 education, 6 any services, 7 many services. */
enum { TOKEN_MIXES = 8 };

static size_t token_payload(rng *r, const project *p, unsigned mix, uint8_t *out)
{
    packer k = {out, out + PAYLOAD_MAX};
    put16(&k, 32);
    for (int i = 0; i < 32; i++) put8(&k, (uint8_t)next64(r));
    put_text(&k, p->app_id);
    put32(&k, p->issue_ts), put32(&k, p->expire), put32(&k, 1 + below(r, 99999999));
    switch (mix) {
    case 0:
        put16(&k, 1), put16(&k, 1), put_privileges(&k, 4, p->privilege_expire);
        put_channel(&k, r, p), put_user(&k, r, p);
        break;
    case 1:
        put16(&k, 1), put16(&k, 1), put_privileges(&k, 1, p->privilege_expire);
        put_channel(&k, r, p), put_user(&k, r, p);
        break;
    case 2: {
        uint8_t user[300];
        packer u = {user, user + sizeof user};
        put_user(&u, r, p);
        put16(&k, 2), put16(&k, 1), put_privileges(&k, 4, p->privilege_expire);
        put_channel(&k, r, p);
        for (uint8_t *q = user; q < u.p; q++) put8(&k, *q);
        put16(&k, 2), put_privileges(&k, 1, p->expire);
        for (uint8_t *q = user; q < u.p; q++) put8(&k, *q);
        break;
    }
    case 3:
        put16(&k, 2), put16(&k, 1), put16(&k, 4);
        for (unsigned i = 1; i <= 4; i++) put16(&k, i), put32(&k, random_expiry(r));
        put_channel(&k, r, p), put_user(&k, r, p);
        put_service(&k, r, p, 2);
        break;
    case 4: put16(&k, 1), put_service(&k, r, p, 8); break;
    case 5:
        put16(&k, 3);
        put_service(&k, r, p, 2), put_service(&k, r, p, 5), put_service(&k, r, p, 7);
        break;
    default: {
        unsigned count = 1 + below(r, mix == 6 ? 4 : 16);
        put16(&k, count);
        while (count--) put_service(&k, r, p, 1 + below(r, 10));
    }
    }
    return (size_t)(k.p - out);
}

/* ------------------------------------------------------------------ adversarial payloads */

enum { ADVERSARIAL_KINDS = 14 };

static size_t random_length(rng *r)
{
    switch (below(r, 4)) {
    case 0: return below(r, 16);
    case 1: return below(r, 300);
    case 2: return below(r, 1100);
    default: return below(r, PAYLOAD_MAX + 1);
    }
}

static void adversarial_payload(rng *r, unsigned kind, uint8_t *out, size_t n)
{
    static const char *words[] = {"the ", "channel ", "of ", "token ", "room", "a ", "user-", "\n",
                                  "expire", "0123", "00", "privilege", "xyz", "ab", "aba", "in "};
    size_t i = 0;
    switch (kind) {
    case 0: memset(out, 0, n); break;
    case 1: memset(out, (int)below(r, 256), n); break;
    case 2: { /* a period, now and then disturbed */
        uint32_t period = 1 + below(r, 64), noise = 1 + below(r, 400);
        for (; i < n; i++)
            out[i] = i < period || !below(r, noise) ? (uint8_t)next64(r) : out[i - period];
        break;
    }
    case 3: /* random */
        for (; i < n; i++) out[i] = (uint8_t)next64(r);
        break;
    case 4: { /* few symbols */
        uint32_t few = 1 + below(r, 8), first = below(r, 249);
        for (; i < n; i++) out[i] = (uint8_t)(first + below(r, few));
        break;
    }
    case 5: { /* words */
        uint32_t choice = 1 + below(r, 16);
        while (i < n)
            for (const char *w = words[below(r, choice)]; *w && i < n;) out[i++] = (uint8_t)*w++;
        break;
    }
    case 6: { /* geometric frequencies */
        uint32_t slope = 1 + below(r, 3);
        for (; i < n; i++) {
            unsigned s = 0;
            while (s < 200 && below(r, 4) < slope) s++;
            out[i] = (uint8_t)s;
        }
        break;
    }
    case 7: { /* random bytes mixed with copies from before, exact multiples of the rules */
        while (i < n) {
            if (i > 3 && below(r, 2)) {
                size_t from = below(r, (uint32_t)i);
                size_t length = 3 + below(r, 300) / (1 + below(r, 60));
                while (length-- && i < n) out[i++] = out[from++];
            } else {
                out[i++] = (uint8_t)next64(r);
            }
        }
        break;
    }
    case 8: { /* equal hashes of different bytes: b0 and b1 trade bits */
        uint8_t seed = (uint8_t)next64(r);
        while (i < n) {
            uint8_t x = (uint8_t)(seed ^ below(r, 2) << 5 ^ below(r, 2) << 6 ^ below(r, 2) << 7);
            uint8_t y = (uint8_t)(below(r, 2) << 3), z = (uint8_t)(below(r, 4) << 5);
            out[i++] = x;
            if (i < n) out[i++] = y;
            if (i < n) out[i++] = z;
        }
        break;
    }
    case 9: /* a ramp: every literal once, few matches */
        for (unsigned step = 1 + 2 * below(r, 4); i < n; i++)
            out[i] = (uint8_t)(i * step + i / 256 * 7);
        break;
    case 10: { /* runs */
        while (i < n) {
            uint8_t x = (uint8_t)below(r, 1 + below(r, 256));
            for (uint32_t run = 1 + below(r, 1 + below(r, 300)); run-- && i < n;) out[i++] = x;
        }
        break;
    }
    case 11: { /* ascending runs of one length per match code: many length and distance codes */
        uint32_t base = below(r, 200);
        while (i < n) {
            uint32_t run = 1 + below(r, 40), x = base;
            while (run-- && i < n) out[i++] = (uint8_t)x++;
            if (i < n) out[i++] = (uint8_t)next64(r);
        }
        break;
    }
    case 12: { /* Fibonacci frequencies: the deepest trees; a walk that avoids repeated triples */
        uint32_t weight[20], total = 0;
        uint32_t a = 1, b = 1;
        for (int k = 0; k < 20; k++) {
            weight[k] = a, total += a;
            uint32_t c = a + b;
            a = b, b = c;
        }
        for (; i < n; i++) {
            uint32_t pick = below(r, total);
            int k = 0;
            while (pick >= weight[k]) pick -= weight[k++];
            out[i] = (uint8_t)(k * 7);
        }
        break;
    }
    default: { /* one bit set, or 7-bit text */
        uint8_t mask = below(r, 2) ? 0x7f : 0x11;
        for (; i < n; i++) out[i] = (uint8_t)(next64(r) & mask);
    }
    }
}
/* Payloads that differ among one another in some bytes only.  Few different bytes make windows
 * meet that hold a differing byte, many make them alone. */
typedef struct {
    uint8_t payload[PAYLOAD_MAX], differs[PAYLOAD_MAX];
    size_t n;
    unsigned few, values; /* of the constant and of the differing bytes */
} family;

static uint8_t one_of(rng *r, unsigned values) { return (uint8_t)(below(r, values) * 37 + 11); }

static void random_family(rng *r, family *f)
{
    f->n = 24 + below(r, below(r, 4) ? 240 : 520);
    f->few = 1 + below(r, below(r, 2) ? 256 : 12);
    f->values = 1 + below(r, below(r, 3) ? 256 : 12);
    for (size_t i = 0; i < f->n; i++) f->payload[i] = one_of(r, f->few);
    for (unsigned copies = below(r, 6); copies; copies--) {
        size_t from = below(r, (uint32_t)f->n), to = below(r, (uint32_t)f->n), n = below(r, 40);
        for (; n && from < f->n && to < f->n; n--) f->payload[to++] = f->payload[from++];
    }
    memset(f->differs, 0, f->n);
    for (unsigned ranges = below(r, 8); ranges; ranges--) {
        size_t at = below(r, (uint32_t)f->n), n = 1 + below(r, 30);
        for (; n && at < f->n; n--) f->differs[at++] = 1;
    }
}

static size_t family_payload(rng *r, const family *f, uint8_t *out)
{
    for (size_t i = 0; i < f->n; i++)
        out[i] = f->differs[i] ? one_of(r, f->values) : f->payload[i];
    if (below(r, 40) == 0) out[below(r, (uint32_t)f->n)] ^= 1; /* where none differed before */
    return f->n;
}

#endif
