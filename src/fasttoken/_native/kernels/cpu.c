#include "cpu.h"

#include <stdatomic.h>
#include <string.h>

#include "base64.h"
#include "crc32.h"
#include "hmac.h"
#include "sha256.h"

#if FT_X86
#include <cpuid.h>
#elif FT_ARMV8 && defined(__linux__)
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
static _Atomic(const ft_cpu_path *) current = &portable;

static void add_path(const ft_cpu_path *path, const char *name, ft_cpu_level level) {
    paths[path_count] = *path;
    paths[path_count].name = name;
    paths[path_count].level = level;
    names[path_count++] = name;
}

static void find_paths(void) {
    if (path_count) return;
    ft_cpu_path path = portable;
    add_path(&path, "portable", FT_CPU_PORTABLE);
#if FT_X86
    unsigned a, b, c, d, c1, os = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    if (c1 & bit_OSXSAVE) { /* which registers the operating system saves */
        unsigned high;
        __asm__("xgetbv" : "=a"(os), "=d"(high) : "c"(0));
    }
    int sha = (b & bit_SHA) && (c1 & bit_SSE4_1) && (c1 & bit_SSSE3);
    int avx2 = (b & bit_AVX2) && (os & 0x06) == 0x06;
    unsigned avx512_bits = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    int avx512 = avx2 && (b & avx512_bits) == avx512_bits && (os & 0xe6) == 0xe6;
    (void)avx512;
    if (sha) {
        path.sha256[0] = &ft_sha256_shani_x2;
        path.sha256[1] = &ft_sha256_shani;
        add_path(&path, "shani", FT_CPU_SHANI);
    }
    (void)avx2;
#endif
}

const char *const *ft_cpu_paths(void) {
    find_paths();
    return names;
}

static int self_test(const ft_cpu_path *path) {
    return ft_hmac_self_test(path) && ft_base64_self_test(path) && ft_crc32_self_test(path);
}

static const ft_cpu_path *find(const char *name) {
    find_paths();
    for (size_t i = 0; i < path_count; i++)
        if (strcmp(name, paths[i].name) == 0) return &paths[i];
    return NULL;
}

int ft_cpu_self_test(const char *name) {
    const ft_cpu_path *path = find(name);
    return path && self_test(path);
}

int ft_cpu_select(const char *name) {
    const ft_cpu_path *path = NULL;
    if (strcmp(name, "auto") == 0) {
        find_paths();
        for (size_t i = path_count; i-- && !path;)
            if (self_test(&paths[i])) path = &paths[i];
    } else {
        path = find(name);
        if (path && !self_test(path)) path = NULL;
    }
    if (!path) return 0;
    atomic_store(&current, path);
    return 1;
}

const ft_cpu_path *ft_cpu_current(void) {
    return atomic_load_explicit(&current, memory_order_acquire);
}

const char *ft_cpu_name(void) { return ft_cpu_current()->name; }

ft_cpu_level ft_cpu_in_use(void) { return ft_cpu_current()->level; }
