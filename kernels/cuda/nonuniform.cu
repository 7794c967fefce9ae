// Kernels of kernels.nonuniform. Images are stacks of row-major planes; indices and weights hold the `blended` filters of
// one pixel next to each other. One thread per output pixel of up to PLANES planes, a group of them per blockIdx.z;
// pixels beyond the border are 0.

constexpr int PLANES = 3;

// The filter of an index, which nobody has checked: `last` is the largest.
__device__ int nearest(int index, int last) { return max(0, min(index, last)); }

// Each thread loops over the taps of its own filters. Where the pixels of a warp have the same filters, which is almost
// everywhere in a smooth motion field, its threads read the same tap and neighbouring pixels of the image. A tap is four
// numbers: row and column, as the bits of integers, the value, and nothing.
//
// Per tap: 16 bytes, shared by the warp, in one load, and for each plane 4 bytes in another, which are the bottleneck, and
// 2 floating-point operations.
extern "C" __global__ void nonuniform_convolve(const float* __restrict__ image, const int* __restrict__ starts,
                                               const float* __restrict__ taps, const int* __restrict__ indices,
                                               const float* __restrict__ weights, int last, int blended, int planes,
                                               int height, int width, float* __restrict__ out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    const long long area = (long long)height * width, pixel = (long long)y * width + x;
    const int first = blockIdx.z * PLANES, count = min(PLANES, planes - first);
    const float* source = image + first * area;
    float totals[PLANES] = {};
    for (int j = 0; j < blended; ++j) {
        const int filter = nearest(indices[pixel * blended + j], last), end = starts[filter + 1];
        float sums[PLANES] = {};
        for (int number = starts[filter]; number < end; ++number) {
            const float4 tap = ((const float4*)taps)[number];
            const int row = y - __float_as_int(tap.x), col = x - __float_as_int(tap.y);
            if (row >= 0 && row < height && col >= 0 && col < width) {
                const float* place = source + (long long)row * width + col;
#pragma unroll
                for (int k = 0; k < PLANES; ++k)
                    if (k < count)
                        sums[k] = fmaf(tap.z, place[k * area], sums[k]);
            }
        }
        const float weight = weights[pixel * blended + j];
#pragma unroll
        for (int k = 0; k < PLANES; ++k)
            totals[k] = fmaf(weight, sums[k], totals[k]);
    }
#pragma unroll
    for (int k = 0; k < PLANES; ++k)
        if (k < count)
            out[(first + k) * area + pixel] = totals[k];
}

// Each thread loops over the pixels whose filters may reach its own pixel, and looks up the weights of these filters
// there. `filters` holds one array of (2 down + 1) x (2 right + 1) per filter.
//
// Per pixel within reach: 12 bytes from cache and 2 floating-point operations for each filter, 4 and 2 for each plane.
extern "C" __global__ void nonuniform_adjoint(const float* __restrict__ image, const float* __restrict__ filters,
                                              int down, int right, const int* __restrict__ indices,
                                              const float* __restrict__ weights, int last, int blended, int planes,
                                              int height, int width, float* __restrict__ out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    const long long area = (long long)height * width;
    const int first = blockIdx.z * PLANES, count = min(PLANES, planes - first);
    const float* source = image + first * area;
    const int columns = 2 * right + 1, size = (2 * down + 1) * columns;
    float totals[PLANES] = {};
    for (int row = max(0, y - down); row <= min(height - 1, y + down); ++row)
        for (int col = max(0, x - right); col <= min(width - 1, x + right); ++col) {
            const long long pixel = (long long)row * width + col;
            const int place = (row - y + down) * columns + col - x + right;
            float weight = 0.0f;
            for (int j = 0; j < blended; ++j)
                weight = fmaf(weights[pixel * blended + j],
                              filters[(long long)nearest(indices[pixel * blended + j], last) * size + place], weight);
#pragma unroll
            for (int k = 0; k < PLANES; ++k)
                if (k < count)
                    totals[k] = fmaf(weight, source[k * area + pixel], totals[k]);
        }
#pragma unroll
    for (int k = 0; k < PLANES; ++k)
        if (k < count)
            out[(first + k) * area + (long long)y * width + x] = totals[k];
}
