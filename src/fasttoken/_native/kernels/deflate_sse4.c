/* The encoder for SSE4.2. */
#if defined(__x86_64__)
#include "target.h"
TARGET_BEGIN("sse4.2,popcnt")
#define DEFLATE_WAY ft_deflate_sse4
#define LANE_BYTES 16
#define LANE_WHOLE(x)
#define BOUND_PERCENT 30
#include "deflate_encoder.h"
TARGET_END
#endif
