// Kernels of kernels.shrinkage. Images are row-major planes.

// kernels/formulas/hyper_laplacian.py has the constants and says what they are.
constexpr float EXPONENT = 2.0f / 3.0f, THRESHOLD = 1.47557589f, START = 0.545f;
constexpr int STEPS = 3;

// Shrink a value under the hyper-Laplacian prior by Newton's method: about 80 floating-point operations.
__device__ float shrunk(float value, float scale)
{
    const float size = fmaxf(fabsf(value) / scale, THRESHOLD);
    float root = cbrtf(size - START * THRESHOLD * THRESHOLD / size);
#pragma unroll
    for (int step = 0; step < STEPS; ++step) {
        const float cube = root * root * root;
        root -= (root * cube - size * root + EXPONENT) / (4.0f * cube - size);
    }
    return copysignf(size > THRESHOLD ? root * root * root * scale : 0.0f, value);
}

// One thread per value: 8 bytes.
extern "C" __global__ void shrink_values(const float* __restrict__ values, float scale, int count,
                                         float* __restrict__ result)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        result[i] = shrunk(values[i], scale);
}

// One thread per pixel, in blocks of COLS x ROWS, which keep the shrunk differences in shared memory, each pixel's to
// the right and below. Those to the left of the block and above it are computed by a warp each, so that there are 2.25
// for each pixel; if each thread computed its own, there would be four. Of memory each pixel takes 8 bytes.
constexpr int COLS = 32, ROWS = 8;
extern "C" __global__ void shrunk_divergence(const float* __restrict__ image, float scale, int height, int width,
                                             float* __restrict__ result)
{
    extern __shared__ float shared[];
    float* right = shared;                      // ROWS x (1 + COLS)
    float* below = shared + ROWS * (1 + COLS);  // (1 + ROWS) x COLS
    const int thread = threadIdx.y * COLS + threadIdx.x, left = blockIdx.x * COLS, top = blockIdx.y * ROWS;
    const int x = min(left + (int)threadIdx.x, width - 1), y = min(top + (int)threadIdx.y, height - 1);
    const float* row = image + (long long)y * width;
    right[threadIdx.y * (1 + COLS) + 1 + threadIdx.x] = shrunk(row[x + 1 < width ? x + 1 : 0] - row[x], scale);
    below[(1 + threadIdx.y) * COLS + threadIdx.x] =
        shrunk(image[(long long)(y + 1 < height ? y + 1 : 0) * width + x] - row[x], scale);
    if (thread < COLS) {
        const float here = image[(long long)(top > 0 ? top - 1 : height - 1) * width + x];
        below[thread] = shrunk(image[(long long)top * width + x] - here, scale);
    } else if (thread < COLS + ROWS) {
        const float* line = image + (long long)min(top + thread - COLS, height - 1) * width;
        right[(thread - COLS) * (1 + COLS)] = shrunk(line[left] - line[left > 0 ? left - 1 : width - 1], scale);
    }
    __syncthreads();
    if (left + (int)threadIdx.x < width && top + (int)threadIdx.y < height) {
        const float* across = right + threadIdx.y * (1 + COLS) + threadIdx.x;
        const float* down = below + threadIdx.y * COLS + threadIdx.x;
        result[(long long)y * width + x] = across[0] - across[1] + (down[0] - down[COLS]);
    }
}

// One thread per value, which computes its place in the table: 8 bytes and 12 floating-point operations. The table comes
// from the cache; `step` is the distance of two entries in units of the values.
extern "C" __global__ void look_up(const float* __restrict__ values, const float* __restrict__ table, int entries,
                                   float step, float threshold, int count, float* __restrict__ result)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float value = values[i], place = fabsf(value) / step, within = fminf(place, entries - 1.0f);
    const int index = min((int)within, entries - 2);
    const float low = table[index], high = table[index + 1];
    result[i] = copysignf(threshold * (low + (within - index) * (high - low)) + (place - within) * step, value);
}
