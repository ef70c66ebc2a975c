/* ft_inflate_zlib against zlib: what zlib accepts gives the same bytes, what zlib refuses is
 * refused; each error code by a stream made for it; nothing outside the buffers is touched.
 *
 * Compile with all the kernels and -lz.
 */
#include "inflate.h"

#include <string.h>
#include <zlib.h>

#include "sign_check.h"

/* Buffers of exactly the right size, so that the sanitizer sees a step beyond either end. */
static ptrdiff_t inflate_exactly(const uint8_t *in, size_t n, size_t capacity, uint8_t *result,
                                 size_t *consumed) {
    uint8_t *copy = malloc(n ? n : 1), *out = malloc(capacity ? capacity : 1);
    if (n) memcpy(copy, in, n);
    ptrdiff_t size = ft_inflate_zlib(copy, n, out, capacity, consumed);
    CHECK(size <= (ptrdiff_t)capacity);
    if (size > 0 && result) memcpy(result, out, (size_t)size);
    free(copy);
    free(out);
    return size;
}

#define MOST 70000
static uint8_t ours[MOST], theirs[MOST];

static ptrdiff_t compare(const uint8_t *in, size_t n, size_t capacity) {
    size_t consumed = 0;
    z_stream z = {0};
    CHECK(inflateInit(&z) == Z_OK);
    z.next_in = (uint8_t *)in;
    z.avail_in = (uInt)n;
    z.next_out = theirs;
    z.avail_out = (uInt)capacity;
    int result = inflate(&z, Z_FINISH);
    ptrdiff_t size = inflate_exactly(in, n, capacity, ours, &consumed);
    if (result == Z_STREAM_END) {
        CHECK(size == (ptrdiff_t)z.total_out);
        CHECK(consumed == z.total_in);
        CHECK(memcmp(ours, theirs, (size_t)size) == 0);
    } else {
        CHECK(size < 0);
        CHECK(consumed == 0);
    }
    inflateEnd(&z);
    return size;
}

/* Text of several sorts: noise, few letters, repeats, bytes like a token's; and letters and
 * far repeats so unevenly rare that codes of 15 bits come up. */
static size_t make_text(uint8_t *text, size_t n) {
    unsigned sort = draw() % 6, letters = 1 + draw() % 40;
    for (size_t i = 0; sort == 5 && i < n;) {
        unsigned rare = 0;
        while (draw() % 4 < 2 && rare < 24) rare++;
        if (i < 300 || draw() % 30) {
            text[i++] = (uint8_t)(97 + rare);
        } else {
            size_t distance = 1 + draw() % (i < 32768 ? i : 32768);
            for (size_t length = 3 + draw() % 256; length && i < n; length--, i++)
                text[i] = text[i - distance];
        }
    }
    if (sort == 5) return n;
    for (size_t i = 0; i < n; i++) {
        if (sort == 0) text[i] = (uint8_t)draw();
        else if (sort == 1) text[i] = (uint8_t)('a' + draw() % letters);
        else if (sort == 2) text[i] = i >= 7 && draw() % 30 ? text[i - 7] : (uint8_t)draw();
        else if (sort == 3) text[i] = i && draw() % 99 ? text[i - 1] : (uint8_t)draw();
        else text[i] = i % 3 ? (uint8_t)(draw() % 256 & draw()) : 0;
    }
    return n;
}

static size_t deflate_text(uint8_t *out, const uint8_t *text, size_t n) {
    z_stream z = {0};
    int strategy = (int)(draw() % 5), bits = 9 + (int)(draw() % 7);
    CHECK(deflateInit2(&z, (int)(draw() % 10), Z_DEFLATED, bits, 1 + (int)(draw() % 9),
                       strategy) == Z_OK);
    z.next_in = (uint8_t *)text;
    z.next_out = out;
    z.avail_out = 2 * MOST;
    while (n) { /* in pieces, now and then with a flush: stored and empty blocks in between */
        size_t piece = 1 + draw() % n;
        z.avail_in = (uInt)piece;
        n -= piece;
        CHECK(deflate(&z, draw() % 2 ? Z_NO_FLUSH : (int)(1 + draw() % 3)) == Z_OK);
        CHECK(z.avail_in == 0);
    }
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    size_t size = z.total_out;
    deflateEnd(&z);
    return size;
}

static void test_random_streams(void) {
    static uint8_t text[MOST], stream[2 * MOST], damaged[2 * MOST];
    for (int round = 0; round < 6000; round++) {
        size_t most = round % 100 == 0 ? 66000 : round % 10 == 0 ? 3000 : 300;
        size_t n = make_text(text, draw() % most);
        size_t size = deflate_text(stream, text, n);
        CHECK(compare(stream, size, n) == (ptrdiff_t)n);
        CHECK(compare(stream, size, n + 1 + draw() % 300) == (ptrdiff_t)n);
        if (n) CHECK(compare(stream, size, draw() % n) == FT_INFLATE_TOO_LONG);
        CHECK(compare(stream, draw() % size, n) == FT_INFLATE_TRUNCATED);
        memcpy(damaged, stream, size);
        memcpy(damaged + size, stream, 5); /* what follows is not looked at */
        CHECK(compare(damaged, size + 5, n) == (ptrdiff_t)n);
        if (size > 4000) continue;
        for (int i = 0; i < 20; i++) {
            memcpy(damaged, stream, size);
            for (unsigned hits = 1 + draw() % 3; hits; hits--)
                damaged[2 + draw() % (size - 2)] ^= (uint8_t)(1 << draw() % 8);
            compare(damaged, size, n + draw() % 300);
        }
        for (size_t i = 2; i < size && i < 200; i++) damaged[i] = (uint8_t)draw();
        damaged[2] = (uint8_t)((damaged[2] & ~6) | 4); /* noise as a block with its own codes */
        compare(damaged, size, 300);
    }
}

static void test_every_header(void) {
    uint8_t stream[] = {0, 0, 0x4b, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62};
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            stream[0] = (uint8_t)first;
            stream[1] = (uint8_t)second;
            compare(stream, sizeof stream, 8);
        }
}

/* Bits in the order of the stream. */
static uint8_t bit_bytes[1000];
static size_t bit_count;
static void put(uint32_t value, unsigned bits) {
    for (; bits; bits--, value >>= 1, bit_count++)
        bit_bytes[bit_count / 8] |= (uint8_t)((value & 1) << bit_count % 8);
}
static void begin(void) {
    memset(bit_bytes, 0, sizeof bit_bytes);
    bit_count = 0;
    put(0x78, 8);
    put(0x9c, 8);
}
/* A Huffman code: first bit highest. */
static void put_code(uint32_t value, unsigned bits) {
    while (bits--) put(value >> bits & 1, 1);
}
/* The last four bytes of the stream. */
static void put_check(uint32_t check) {
    bit_count = (bit_count + 7) / 8 * 8;
    for (int byte = 3; byte >= 0; byte--) put(check >> 8 * byte & 255, 8);
}
static void expect(ptrdiff_t result) {
    CHECK(compare(bit_bytes, sizeof bit_bytes, 100) == result);
}

/* A block with its own codes, up to the first symbol's length. The lengths in use, each with a
 * code of `bits` bits, ascending: given by the bits of `used`. */
static void put_dynamic(unsigned symbols, unsigned distances, uint32_t used, unsigned bits) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    put(5, 3);
    put(symbols - 257, 5);
    put(distances - 1, 5);
    put(15, 4);
    for (int i = 0; i < 19; i++) put(used >> order[i] & 1 ? bits : 0, 3);
}
static void begin_dynamic(unsigned symbols, unsigned distances, uint32_t used, unsigned bits) {
    begin();
    put_dynamic(symbols, distances, used, bits);
}
#define USED (1 << 0 | 1 << 1 | 1 << 2 | 1 << 18) /* codes 00, 01, 10, 11 */

static void put_zeros(unsigned n) { /* 11 to 138 */
    put_code(3, 2);
    put(n - 11, 7);
}

/* A block with its own codes that begins at every bit of a byte. */
static void test_every_alignment(void) {
    for (unsigned before = 0; before < 8; before++) {
        uint8_t text[8];
        begin();
        for (unsigned i = 0; i < before; i++) { /* 19 bits for a byte */
            put(2, 3);
            put_code(0x190, 9);
            put_code(0, 7);
            text[i] = 144;
        }
        put_dynamic(257, 1, USED, 2);
        put_zeros(138);
        put_zeros(118);
        put_code(1, 2);
        put_code(0, 2);
        put(0, 1);
        put_check((uint32_t)adler32(1, text, before));
        expect(before);
    }
}

/* The longest match there is, 48 bits, with any number of bits read ahead. */
static void test_longest_match(void) {
    uint8_t text[286 + 30] = {0}, *distances = text + 286; /* lengths of codes */
    text[0] = 1; /* codes: 0 */
    text[285] = 2; /* 10 */
    text[256] = 3; /* 110 */
    for (int i = 0; i < 11; i++) text[10 + i] = (uint8_t)(4 + i);
    text[283] = text[284] = 15;
    for (int i = 0; i < 14; i++) distances[i] = (uint8_t)(1 + i);
    distances[28] = distances[29] = 15;
    begin();
    put(5, 3);
    put(29, 5);
    put(29, 5);
    put(15, 4);
    for (int i = 0; i < 3; i++) put(0, 3); /* not 16, 17, 18: the lengths are their own codes */
    for (int i = 0; i < 16; i++) put(4, 3);
    for (int i = 0; i < 286 + 30; i++) put_code(text[i], 4);
    put_code(0, 1);
    size_t n = 1;
    for (; n < 25600; n += 258) {
        put_code(2, 2);
        put_code(0, 1);
    }
    for (unsigned before = 0; before < 32; before++) {
        for (unsigned i = 0; i < before; i++) put_code(0, 1);
        put_code(0x7fff, 15);
        put(before, 5);
        put_code(0x7fff, 15);
        put(1000 - before, 13);
        n += before + 227 + before;
    }
    put_code(6, 3);
    static const uint8_t zeros[MOST];
    put_check((uint32_t)adler32(1, zeros, (uInt)n));
    CHECK(compare(bit_bytes, sizeof bit_bytes, n) == (ptrdiff_t)n);
}

static void test_each_error(void) {
    begin();
    put(7, 3); /* a block of type 3 */
    expect(FT_INFLATE_BAD_BLOCK);
    begin();
    put(1, 3); /* stored, length and its complement disagree */
    put(0, 5);
    put(3, 16);
    put(0xfffd, 16);
    expect(FT_INFLATE_BAD_BLOCK);
    for (uint32_t symbol = 286; symbol < 288; symbol++) { /* fixed codes without a meaning */
        begin();
        put(3, 3);
        put_code(0xc0 + symbol - 280, 8);
        expect(FT_INFLATE_BAD_CODE);
    }
    for (uint32_t distance = 0; distance < 32; distance++) {
        begin();
        put(3, 3);
        put_code(0x30 + 'a', 8);
        put_code(1, 7); /* length 3 */
        put_code(distance, 5);
        if (distance == 0) {
            put_code(0, 7);
            size_t end = (bit_count + 7) / 8;
            put_check((uint32_t)adler32(1, (const uint8_t *)"aaaa", 4));
            expect(4);
            bit_bytes[end] ^= 1;
            expect(FT_INFLATE_BAD_CHECKSUM);
        } else {
            expect(distance < 30 ? FT_INFLATE_BAD_DISTANCE : FT_INFLATE_BAD_CODE);
        }
    }
    for (unsigned symbols = 257; symbols <= 288; symbols++)
        for (unsigned distances = 1; distances <= 32; distances++) {
            begin_dynamic(symbols, distances, USED, 2); /* nothing but the end of the block */
            put_zeros(138);
            put_zeros(118);
            put_code(1, 2);
            for (unsigned i = 257; i < symbols + distances; i++) put_code(0, 2);
            put(0, 1);
            put_check(1);
            expect(symbols > 286 || distances > 30 ? FT_INFLATE_BAD_CODE : 0); /* too many */
        }
    begin_dynamic(257, 1, USED | 1 << 3, 2); /* five codes of two bits */
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, USED & ~(1 << 2), 2); /* three */
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, 1 << 1, 1); /* one of one bit: not even that will do here */
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, 0, 0);
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, 1 << 1 | 1 << 2 | 1 << 16 | 1 << 18, 2);
    put_code(2, 2); /* 16: repeats the length before the first */
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, USED, 2);
    put_zeros(138);
    put_zeros(121); /* one more than there are symbols and distances */
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, 1 << 0 | 1 << 1 | 1 << 16 | 1 << 18, 2);
    put_zeros(138);
    put_zeros(117);
    put_code(1, 2);
    put_code(2, 2); /* three more, for the end of the block, a distance, and one too many */
    put(0, 2);
    put(1, 1);
    put_check(1);
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 3, USED, 2);
    put_zeros(138);
    put_zeros(118);
    for (int i = 0; i < 4; i++) put_code(1, 2); /* three distances of one bit */
    put(0, 1);
    put_check(1);
    expect(FT_INFLATE_BAD_CODE);
    begin_dynamic(257, 1, USED, 2);
    put_code(2, 2);
    put_code(2, 2);
    put_code(2, 2);
    put_code(2, 2); /* a complete code without the end of the block */
    put_zeros(138);
    put_zeros(115);
    put_code(1, 2);
    expect(FT_INFLATE_BAD_CODE);
    for (unsigned bit = 0; bit < 2; bit++)
        for (unsigned distance_length = 0; distance_length < 3; distance_length++) {
            begin_dynamic(257, 1, USED, 2);
            put_zeros(138);
            put_zeros(118);
            put_code(1, 2); /* the end of the block has length 1 and is all there is */
            put_code(distance_length, 2);
            put(bit, 1);
            put_check(1);
            if (distance_length == 2) expect(FT_INFLATE_BAD_CODE); /* alone: not complete */
            else expect(bit ? FT_INFLATE_BAD_CODE : 0);
        }
    for (unsigned distance_length = 0; distance_length < 2; distance_length++)
        for (unsigned bit = 0; bit < 2; bit++) {
            begin_dynamic(258, 1, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 18, 2);
            put_code(1, 2); /* literal 0: code 0 */
            put_zeros(138);
            put_zeros(117);
            put_code(2, 2); /* end: 10 */
            put_code(2, 2); /* length 3: 11 */
            put_code(distance_length, 2);
            put(0, 1);
            put_code(3, 2);
            put(bit, 1); /* distance 1, if it has a code at all, is 0 */
            put_code(2, 2);
            put_check(4 << 16 | 1);
            expect(distance_length == 0 || bit ? FT_INFLATE_BAD_CODE : 4);
        }
    CHECK(ft_inflate_zlib(bit_bytes, 0, ours, 1, NULL) == FT_INFLATE_TRUNCATED);
    CHECK(ft_inflate_zlib(bit_bytes, 1, ours, 1, NULL) == FT_INFLATE_TRUNCATED);
    bit_bytes[0] = 0x79;
    CHECK(ft_inflate_zlib(bit_bytes, 20, ours, 1, NULL) == FT_INFLATE_BAD_HEADER);
}

int main(void) {
    CHECK(ft_inflate_self_test());
    test_each_error();
    test_every_alignment();
    test_longest_match();
    test_every_header();
    test_random_streams();
    printf("inflate: %lu checks\n", checks);
    return 0;
}
