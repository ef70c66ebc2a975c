/* What the C tests share: checks that end the program, random numbers that repeat. */
#ifndef SIGN_CHECK_H
#define SIGN_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu.h"

static unsigned long checks;
#define CHECK(condition)                                                                          \
    do {                                                                                          \
        checks++;                                                                                 \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, ft_cpu_name(), #condition);    \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

static uint64_t seed = 0x9e3779b97f4a7c15;
static inline uint32_t draw(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32);
}

#endif
