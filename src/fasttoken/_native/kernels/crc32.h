/* CRC-32 with zlib's polynomial, as in 006 tokens. */
#ifndef FT_CRC32_H
#define FT_CRC32_H

#include <stddef.h>
#include <stdint.h>

#include "cpu.h"

uint32_t ft_crc32(const uint8_t *in, size_t n);

/* Known answers on one path: 1 good, 0 wrong. */
int ft_crc32_self_test(const ft_cpu_path *path);

/* --- one function for each path, see ft_cpu_path --- */
uint32_t ft_crc32_portable(uint32_t crc, const uint8_t *in, size_t n);
uint32_t ft_crc32_armv8(uint32_t crc, const uint8_t *in, size_t n);

#endif
