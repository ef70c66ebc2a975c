#include "cpu.h"

#include <string.h>

#include "base64.h"
#include "crc32.h"
#include "hmac.h"
#include "inflate.h"
#include "sha256.h"

#if defined(__STDC_NO_ATOMICS__) || (defined(_MSC_VER) && !defined(__clang__))
#define SHARED(type) type volatile /* a pointer is read and written whole there */
#else
#include <stdatomic.h>
#define SHARED(type) _Atomic(type)
#endif

#if FT_X86
#include <cpuid.h>
#elif FT_ARMV8 && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const ft_cpu_path portable = {
    .name = "portable",
    .level = FT_CPU_PORTABLE,
    .sha256 = {&ft_sha256_portable},
    .base64_encode = ft_base64_encode_portable,
    .base64_decode = ft_base64_decode_portable,
    .crc32 = ft_crc32_portable,
};

#define MOST_PATHS 4

/* The paths of this machine, slowest first. Filled once, by find_paths(). */
static ft_cpu_path paths[MOST_PATHS];
static const char *names[MOST_PATHS + 1];
static size_t path_count;
static int good[MOST_PATHS]; /* a path that has passed its self-test is not tested again */
static SHARED(const ft_cpu_path *) current = &portable;

static void add_path(ft_cpu_path *path, const char *name, ft_cpu_level level) {
    path->name = name;
    path->level = level;
    paths[path_count] = *path;
    names[path_count++] = name;
}

#if FT_X86
static void add_machine_paths(ft_cpu_path *path) {
    unsigned a, b1, c1, d1, b7, c7, d7, saved = 0;
    if (!__get_cpuid(1, &a, &b1, &c1, &d1) || !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return;
    if (c1 & bit_OSXSAVE) /* which registers the operating system saves */
        __asm__("xgetbv" : "=a"(saved), "=d"(d1) : "c"(0));
    const unsigned ymm = 0x06, zmm = 0xe6;
    const unsigned avx512_bits =
        bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX2 | bit_BMI2;
    int sha = (b7 & bit_SHA) && (c1 & bit_SSE4_1) && (c1 & bit_SSSE3);
    int avx2 = (b7 & bit_AVX2) && (saved & ymm) == ymm;
    int avx512 = (b7 & avx512_bits) == avx512_bits && (saved & zmm) == zmm;
    int vbmi = (c7 & bit_AVX512VBMI) != 0;

    const ft_sha256_group *one = sha ? &ft_sha256_shani : &ft_sha256_portable;
    const ft_sha256_group *some = sha ? &ft_sha256_shani_x2 : &ft_sha256_avx2_x8;
    if (sha) {
        path->sha256[0] = some;
        path->sha256[1] = one;
        add_path(path, "shani", FT_CPU_SHANI);
    }
    if (avx2) {
        path->sha256[0] = some;
        path->sha256[1] = one;
        path->base64_encode = ft_base64_encode_avx2;
        path->base64_decode = ft_base64_decode_avx2;
        add_path(path, "avx2", FT_CPU_AVX2);
    }
    if (avx512) {
        path->sha256[0] = &ft_sha256_avx512_x16;
        path->sha256[1] = some;
        path->sha256[2] = one;
        if (vbmi) {
            path->base64_encode = ft_base64_encode_vbmi;
            path->base64_decode = ft_base64_decode_vbmi;
        }
        add_path(path, "avx512", FT_CPU_AVX512);
    }
}
#elif FT_ARMV8
static void add_machine_paths(ft_cpu_path *path) {
#if defined(__linux__)
    unsigned long features = getauxval(AT_HWCAP);
    int sha2 = (features & HWCAP_SHA2) != 0, crc = (features & HWCAP_CRC32) != 0;
#else
    int sha2 = 0, crc = 0;
#if defined(__ARM_FEATURE_SHA2) && defined(__ARM_FEATURE_CRC32)
    sha2 = crc = 1; /* as on every Apple machine: the compiler may use them anyway */
#endif
#endif
    if (!sha2) return;
    path->sha256[0] = &ft_sha256_armv8;
    path->base64_encode = ft_base64_encode_neon;
    path->base64_decode = ft_base64_decode_neon;
    if (crc) path->crc32 = ft_crc32_armv8;
    add_path(path, "armv8", FT_CPU_ARMV8);
}
#endif

static void find_paths(void) {
    if (path_count) return;
    ft_cpu_path path = portable;
    add_path(&path, "portable", FT_CPU_PORTABLE);
#if FT_X86 || FT_ARMV8
    add_machine_paths(&path);
#endif
}

const char *const *ft_cpu_paths(void) {
    find_paths();
    return names;
}

static int self_test(const ft_cpu_path *path) {
    return ft_hmac_self_test(path) && ft_base64_self_test(path) && ft_crc32_self_test(path) &&
           ft_inflate_self_test();
}

/* The place of a path in `paths`, or path_count. */
static size_t find(const char *name) {
    size_t i = 0;
    find_paths();
    while (i < path_count && strcmp(name, names[i]) != 0) i++;
    return i;
}

int ft_cpu_self_test(const char *name) {
    size_t i = find(name);
    return i < path_count && self_test(&paths[i]);
}

static int usable(size_t i) {
    if (!good[i]) good[i] = self_test(&paths[i]);
    return good[i];
}

int ft_cpu_select(const char *name) {
    size_t i = find(name);
    if (strcmp(name, "auto") == 0) {
        while (i > 0 && !usable(i - 1)) i--;
        if (i == 0) return 0;
        i--;
    } else if (i == path_count || !usable(i)) {
        return 0;
    }
    current = &paths[i];
    return 1;
}

const ft_cpu_path *ft_cpu_current(void) { return current; }

const char *ft_cpu_name(void) { return ft_cpu_current()->name; }

ft_cpu_level ft_cpu_in_use(void) { return ft_cpu_current()->level; }
