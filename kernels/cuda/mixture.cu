// Kernels of kernels.mixture. Patches are rows of `size` numbers; products are rows of `rows` numbers, one per direction,
// of which those from starts[k] on belong to component k. No sum depends on the order in which threads run.

// Subtract from each patch its mean, and sum the squares of what is left. A row of LANES threads per patch, of which
// each adds up every LANES-th number; then all of them add up the same LANES sums, which spares a tree of barriers.
//
// Per number of a patch: 8 bytes and 5 floating-point operations. 8 bytes more per patch.
constexpr int LANES = 32, PATCHES = 8;
extern "C" __global__ void centre_patches(const float* __restrict__ patches, int count, int size,
                                          float* __restrict__ centred, float* __restrict__ means,
                                          float* __restrict__ energies)
{
    extern __shared__ float shared[];
    const int lane = threadIdx.x, patch = blockIdx.x * PATCHES + threadIdx.y;
    float* sums = shared + threadIdx.y * LANES;
    float* squares = sums + PATCHES * LANES;
    const long long row = (long long)min(patch, count - 1) * size;
    float sum = 0.0f;
    for (int d = lane; d < size; d += LANES)
        sum += patches[row + d];
    sums[lane] = sum;
    __syncthreads();
    float mean = 0.0f;
    for (int n = 0; n < LANES; ++n)
        mean += sums[n];
    mean /= size;
    sum = 0.0f;
    for (int d = lane; d < size; d += LANES) {
        const float value = patches[row + d] - mean;
        sum = fmaf(value, value, sum);
        if (patch < count)
            centred[row + d] = value;
    }
    squares[lane] = sum;
    __syncthreads();
    float energy = 0.0f;
    for (int n = 0; n < LANES; ++n)
        energy += squares[n];
    if (lane == 0 && patch < count) {
        means[patch] = mean;
        energies[patch] = energy;
    }
}

// Choose the component under which a patch is most likely, the first of several, and filter the patch by its filter.
// One block of THREADS threads per patch, `first` is the number of the patch whose products come first. In shared
// memory lie the best score of each thread, the number of its component, and the patch.
//
// A thread takes every THREADS-th component. It reads the products of its component as vectors of four, which is why
// components are padded; what its neighbours in the warp read lies close by and comes out of the first-level cache.
// Then a thread per pixel goes down its column of the filter: filters are symmetric, so that the rows, which
// neighbouring threads read side by side, are the columns.
//
// Each block reads its patch's filter for itself. The filters of 200 components of 64 pixels are 3.3 MB and stay in the
// second-level cache: 16 kB from there per patch are 256 clock cycles of a multiprocessor that receives 64 bytes in one
// (sm_90), as many as the products of 4096 directions take. Patches sorted by component would share what they read, but
// a sort, and the gathering and scattering of patches around it, would pass over memory several times.
//
// Per patch: 4 bytes and 2 floating-point operations for each direction, 8 bytes for each component, 4 bytes and 2
// operations for each number of a filter, 8 bytes for each pixel.
constexpr int THREADS = 64;
constexpr float LOWEST = -3.402823466e38f;
extern "C" __global__ void filter_by_likeliest(const float* __restrict__ products, const float* __restrict__ centred,
                                               const float* __restrict__ means, const float* __restrict__ energies,
                                               const int* __restrict__ starts, const float* __restrict__ constants,
                                               const float* __restrict__ tails, const float* __restrict__ filters,
                                               int components, int rows, int size, int first,
                                               float* __restrict__ restored)
{
    extern __shared__ float shared[];
    float* scores = shared;
    float* numbers = scores + THREADS;
    float* values = numbers + THREADS;
    const int thread = threadIdx.x;
    const long long patch = (long long)first + blockIdx.x;
    for (int d = thread; d < size; d += THREADS)
        values[d] = centred[patch * size + d];
    const float4* row = (const float4*)(products + (long long)blockIdx.x * rows);
    const float energy = energies[patch];
    float best = LOWEST;
    int choice = 0;
    for (int k = thread; k < components; k += THREADS) {
        float score = constants[k] - tails[k] * energy;
        for (int n = starts[k] / 4; n < starts[k + 1] / 4; ++n) {
            const float4 p = row[n];
            score += (p.x * p.x + p.y * p.y) + (p.z * p.z + p.w * p.w);
        }
        if (score > best) {
            best = score;
            choice = k;
        }
    }
    scores[thread] = best;
    numbers[thread] = choice;
    __syncthreads();
    for (int n = 0; n < THREADS; ++n)
        if (scores[n] > best || (scores[n] == best && numbers[n] < choice)) {
            best = scores[n];
            choice = numbers[n];
        }
    const float* filter = filters + (long long)choice * size * size;
    for (int e = thread; e < size; e += THREADS) {
        float sum = means[patch];
#pragma unroll 8
        for (int d = 0; d < size; ++d)
            sum = fmaf(filter[d * size + e], values[d], sum);
        restored[patch * size + e] = sum;
    }
}

// Cut patches out of a periodic image, a row of LANES threads for each: 8 bytes per number, of which those that are read
// come from a cache where patches overlap.
extern "C" __global__ void cut_patches(const float* __restrict__ image, int height, int width, int side, int stride,
                                       int first_row, int first_col, int count, int across,
                                       float* __restrict__ patches)
{
    const int patch = blockIdx.x * blockDim.y + threadIdx.y, size = side * side;
    if (patch >= count)
        return;
    const int top = first_row + patch / across * stride, left = first_col + patch % across * stride;
    for (int d = threadIdx.x; d < size; d += LANES) {
        int row = top + d / side, col = left + d % side;
        row -= row >= height ? height : 0;
        col -= col >= width ? width : 0;
        patches[(long long)patch * size + d] = image[(long long)row * width + col];
    }
}

// The first patch that reaches a place of its grid's axis.
__device__ int first_of(int place, int side, int stride) { return max(0, (place - side + stride) / stride); }

// Average the patches that cover a pixel, in one thread. Patches that reach beyond the end of an axis cover its start
// too: the thread looks for them around the pixel, and around its place beyond the end.
//
// Per pixel: (side / stride)^2 times 4 bytes, side by side for neighbours within a patch, and 4 bytes.
extern "C" __global__ void average_patches(const float* __restrict__ patches, int down, int across, int side,
                                           int stride, int first_row, int first_col, int height, int width,
                                           float* __restrict__ image)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height)
        return;
    float sum = 0.0f;
    int count = 0;
    for (int row = y - first_row; row < stride * down + side; row += height)
        for (int i = first_of(row, side, stride); i <= min(row / stride, down - 1) && row >= 0; ++i)
            for (int col = x - first_col; col < stride * across + side; col += width)
                for (int j = first_of(col, side, stride); j <= min(col / stride, across - 1) && col >= 0; ++j) {
                    const int pixel = (row - i * stride) * side + col - j * stride;
                    sum += patches[((long long)i * across + j) * side * side + pixel];
                    ++count;
                }
    image[(long long)y * width + x] = sum / count;
}
