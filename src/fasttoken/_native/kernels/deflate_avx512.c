/* The encoder for AVX-512. */
#if defined(__x86_64__)
#include "target.h"
TARGET_BEGIN("avx512f,avx512bw,avx512vl,bmi,bmi2,popcnt")
#define DEFLATE_WAY ft_deflate_avx512
#define LANE_BYTES 64
#define LANE_WHOLE(x) __asm__("" : "+v"(x))
#define BOUND_PERCENT 75
#include "deflate_encoder.h"
TARGET_END
#endif
