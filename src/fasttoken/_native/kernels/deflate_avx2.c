/* The encoder for AVX2. */
#if defined(__x86_64__)
#include "target.h"
TARGET_BEGIN("avx2,bmi,bmi2,popcnt")
#define DEFLATE_WAY ft_deflate_avx2
#define LANE_BYTES 32
#define LANE_WHOLE(x)
#define BOUND_PERCENT 75
#include "deflate_encoder.h"
TARGET_END
#endif
