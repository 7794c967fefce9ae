// Kernels of kernels.nonuniform. Images are stacks of row-major planes, one per blockIdx.z; indices and weights hold the
// `blended` filters of one pixel next to each other. One thread per output pixel; pixels beyond the border are 0.

// Each thread loops over the taps of its own filters. Where the pixels of a warp have the same filters, which is almost
// everywhere in a smooth motion field, its threads read the same tap and neighbouring pixels of the image.
//
// Per tap: 4 bytes of the image and 12 shared by the warp, in four loads, which are the bottleneck; 2 floating-point
// operations.
extern "C" __global__ void nonuniform_convolve(const float* __restrict__ image, const int* __restrict__ starts,
                                               const int* __restrict__ rows, const int* __restrict__ cols,
                                               const float* __restrict__ values, const int* __restrict__ indices,
                                               const float* __restrict__ weights, int blended, int height, int width,
                                               float* __restrict__ out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    const long long plane = (long long)blockIdx.z * height * width, pixel = (long long)y * width + x;
    float total = 0.0f;
    for (int j = 0; j < blended; ++j) {
        const int filter = indices[pixel * blended + j];
        float sum = 0.0f;
        for (int tap = starts[filter]; tap < starts[filter + 1]; ++tap) {
            const int row = y - rows[tap], col = x - cols[tap];
            if (row >= 0 && row < height && col >= 0 && col < width)
                sum = fmaf(values[tap], image[plane + (long long)row * width + col], sum);
        }
        total = fmaf(weights[pixel * blended + j], sum, total);
    }
    out[plane + pixel] = total;
}

// Each thread loops over the pixels whose filters may reach its own pixel, and looks up the weights of these filters
// there. `filters` holds one array of (2 down + 1) x (2 right + 1) per filter.
//
// Per pixel within reach and filter: 12 bytes from cache, 2 floating-point operations.
extern "C" __global__ void nonuniform_adjoint(const float* __restrict__ image, const float* __restrict__ filters,
                                              int down, int right, const int* __restrict__ indices,
                                              const float* __restrict__ weights, int blended, int height, int width,
                                              float* __restrict__ out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    const long long plane = (long long)blockIdx.z * height * width;
    const int columns = 2 * right + 1, size = (2 * down + 1) * columns;
    float total = 0.0f;
    for (int row = max(0, y - down); row <= min(height - 1, y + down); ++row)
        for (int col = max(0, x - right); col <= min(width - 1, x + right); ++col) {
            const long long pixel = (long long)row * width + col;
            const int place = (row - y + down) * columns + col - x + right;
            float weight = 0.0f;
            for (int j = 0; j < blended; ++j)
                weight = fmaf(weights[pixel * blended + j],
                              filters[(long long)indices[pixel * blended + j] * size + place], weight);
            total = fmaf(weight, image[plane + pixel], total);
        }
    out[plane + (long long)y * width + x] = total;
}
