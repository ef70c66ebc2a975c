/* Compiles all functions between the two for more than the machine that all have. */
#ifndef FT_TARGET_H
#define FT_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FT_PRAGMA(x) _Pragma(#x)
#ifdef __clang__
#define TARGET_BEGIN(features) \
    FT_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END FT_PRAGMA(clang attribute pop)
#else
#define TARGET_BEGIN(features) FT_PRAGMA(GCC push_options) FT_PRAGMA(GCC target(features))
#define TARGET_END FT_PRAGMA(GCC pop_options)
#endif

#endif
