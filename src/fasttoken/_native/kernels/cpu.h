/* Which instructions the kernels may use: one choice for the whole library.
 *
 * A path is a named set of kernels. Slowest first, each including what stands before it
 * where the machine has it:
 *
 *   portable  plain C
 *   shani     x86-64 with SSE4.1 and the SHA extensions: SHA-256
 *   avx2      x86-64 with AVX2: Base64; SHA-256 eight abreast where there is no SHA extension
 *   avx512    x86-64 with AVX-512 F, BW, DQ, VL: SHA-256 sixteen abreast; Base64 with VBMI
 *   armv8     AArch64 with the SHA-2 instructions (and CRC-32, where present)
 *
 * Until ft_cpu_select() succeeds the portable path is in use. ft_cpu_paths() and
 * ft_cpu_select() are for start-up: not from two threads at once. Everything else may be
 * called from any thread.
 */
#ifndef FT_CPU_H
#define FT_CPU_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FT_X86 1
#else
#define FT_X86 0
#endif

/* clang before 16 hides the SHA-2 intrinsics unless the whole file is compiled for them. */
#if defined(__aarch64__) && defined(__AARCH64EL__) && defined(__GNUC__) &&                        \
    (!defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_SHA2))
#define FT_ARMV8 1
#else
#define FT_ARMV8 0
#endif

#if FT_X86 || FT_ARMV8
#define FT_TARGET(features) __attribute__((target(features)))
#endif

typedef enum {
    FT_CPU_PORTABLE,
    FT_CPU_SHANI,
    FT_CPU_AVX2,
    FT_CPU_AVX512,
    FT_CPU_ARMV8
} ft_cpu_level;

/* NULL-terminated names of the paths this machine can run, slowest first. */
const char *const *ft_cpu_paths(void);

/* Uses the path `name`, or with "auto" the fastest whose self-test passes.
 * 1: done; 0: the name is unknown, this machine cannot run it, or its self-test failed. */
int ft_cpu_select(const char *name);

/* The path in use. */
const char *ft_cpu_name(void);
ft_cpu_level ft_cpu_in_use(void);

/* Checks known answers of every kernel of one path without selecting it. 1: all good;
 * 0: one was wrong, or there is no such path on this machine. */
int ft_cpu_self_test(const char *name);

/* --- for the kernels themselves --- */

struct ft_sha256_group;

typedef struct {
    const char *name;
    ft_cpu_level level;
    /* SHA-256 by number of messages abreast, widest first; the last takes one. NULL ends it. */
    const struct ft_sha256_group *sha256[4];
    void (*base64_encode)(const uint8_t *in, size_t n, char *out);
    /* Decodes whole groups of four, no padding; stops before the first that holds a character
     * outside the alphabet, or earlier, and returns the characters decoded. */
    size_t (*base64_decode)(const char *in, size_t n, uint8_t *out);
    /* Carries a CRC register (no inversions) over n bytes. */
    uint32_t (*crc32)(uint32_t crc, const uint8_t *in, size_t n);
} ft_cpu_path;

const ft_cpu_path *ft_cpu_current(void);

#endif
