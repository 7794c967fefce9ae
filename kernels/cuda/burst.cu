// Kernels of kernels.burst. Spectra are row-major complex half spectra; count is the number of frequencies of one.
// One thread per frequency: neighbouring threads read and write neighbouring numbers.

// The factors of the sums so far and of a new frame, one of which is 1. powf handles the limits: x^0 is 1, also for
// x = 0; x^inf is 0 for x < 1.
__device__ float2 factors(float magnitude, float largest, float p)
{
    if (magnitude > largest)
        return make_float2(powf(largest / magnitude, p), 1.0f);
    return make_float2(1.0f, largest > 0.0f ? powf(magnitude / largest, p) : 1.0f);
}

// Per frequency: 8 bytes read and 5 floating-point operations for each channel, 4 bytes written.
extern "C" __global__ void mean_magnitudes(const float2* __restrict__ spectra, int channels, int count,
                                           float* __restrict__ out)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    float total = 0.0f;
    for (int c = 0; c < channels; ++c) {
        const float2 z = spectra[(long long)c * count + i];
        total += sqrtf(z.x * z.x + z.y * z.y);
    }
    out[i] = total / channels;
}

// Per frequency: 24 bytes for each channel, 16 for magnitude, maximum and total, 8 more where the frame has the largest
// magnitude: 88 for three channels. 6 floating-point operations for each channel and 4 more, counting a power as one.
extern "C" __global__ void accumulate(const float2* __restrict__ spectra, const float* __restrict__ magnitudes,
                                      int channels, int count, int number, float p, float2* __restrict__ sums,
                                      float* __restrict__ totals, float* __restrict__ maxima,
                                      int* __restrict__ leaders)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float magnitude = magnitudes[i], largest = maxima[i];
    const float2 by = factors(magnitude, largest, p);
    totals[i] = by.x * totals[i] + by.y;
    if (magnitude > largest) {
        maxima[i] = magnitude;
        leaders[i] = number;
    }
    for (int c = 0; c < channels; ++c) {
        const long long at = (long long)c * count + i;
        const float2 sum = sums[at], z = spectra[at];
        sums[at] = make_float2(by.x * sum.x + by.y * z.x, by.x * sum.y + by.y * z.y);
    }
}

// Smooth magnitudes by a periodic Gaussian over the frequencies, one block per patch. The source is a complex half spectrum,
// of two `parts`, or magnitudes, of one. Taps are the middle and one half of the Gaussian, for shifts 0 to reach.
//
// In shared memory the half spectrum is continued to both sides by `reach` columns, with a[-u, -v] = a[u, v]. Column 0, and
// for an even size the last one, mirror themselves: both copies get the mean, in case they differ.
//
// Per frequency: 8 bytes read for a spectrum or 4 for magnitudes, 4 written, and 2 + 6 reach floating-point operations; as
// many loads from shared memory as 2 + 4 reach, and for the taps, which SHARING rows share, a quarter of 2 + 2 reach.
extern "C" __global__ void smooth_magnitudes(const float* __restrict__ source, int parts,
                                             const float* __restrict__ taps, int reach, int size,
                                             float* __restrict__ smooth)
{
    extern __shared__ float shared[];
    constexpr int SHARING = 4;
    const int half = size / 2 + 1, columns = half + 2 * reach, count = size * half;
    float* extended = shared;
    float* across = shared + size * columns;
    const float* mine = source + (long long)blockIdx.x * count * parts;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int u = i / half, v = i % half, minus = u == 0 ? 0 : size - u;
        float value;
        if (parts == 2) {
            const float2 z = ((const float2*)mine)[i];
            value = sqrtf(z.x * z.x + z.y * z.y);
        } else {
            value = mine[i];
            if (2 * v % size == 0)
                value = 0.5f * (value + mine[minus * half + v]);
        }
        extended[u * columns + reach + v] = value;
        if (v > 0 && v <= reach)
            extended[minus * columns + reach - v] = value;
        const int mirrored = size - v;
        if (mirrored >= half && mirrored < half + reach)
            extended[minus * columns + reach + mirrored] = value;
    }
    __syncthreads();

    const int groups = (size + SHARING - 1) / SHARING;
    for (int i = threadIdx.x; i < groups * half; i += blockDim.x) {
        const int first = i / half * SHARING, v = i % half;
        float sums[SHARING] = {};
        for (int k = 0; k <= reach; ++k) {
            const float tap = taps[k];
#pragma unroll
            for (int j = 0; j < SHARING; ++j) {
                const float* middle = extended + min(first + j, size - 1) * columns + reach + v;
                sums[j] = fmaf(tap, k == 0 ? *middle : middle[-k] + middle[k], sums[j]);
            }
        }
#pragma unroll
        for (int j = 0; j < SHARING; ++j)
            if (first + j < size)
                across[(first + j) * half + v] = sums[j];
    }
    __syncthreads();

    float* target = smooth + (long long)blockIdx.x * count;
    for (int i = threadIdx.x; i < groups * half; i += blockDim.x) {
        const int first = i / half * SHARING, v = i % half;
        float sums[SHARING] = {};
        for (int k = 0; k <= reach; ++k) {
            const float tap = taps[k];
#pragma unroll
            for (int j = 0; j < SHARING; ++j) {
                const int u = min(first + j, size - 1);
                const int above = u >= k ? u - k : u - k + size, below = u + k < size ? u + k : u + k - size;
                const float upper = across[above * half + v];
                sums[j] = fmaf(tap, k == 0 ? upper : upper + across[below * half + v], sums[j]);
            }
        }
#pragma unroll
        for (int j = 0; j < SHARING; ++j)
            if (first + j < size)
                target[(first + j) * half + v] = sums[j];
    }
}

// Fuse bursts whose frames are stored one after the other, with the state in registers.
//
// Per frequency: 12 bytes and 10 floating-point operations for each frame, counting a power as one; 8 bytes for the
// result.
extern "C" __global__ void fuse_bursts(const float2* __restrict__ spectra, const float* __restrict__ magnitudes,
                                       int bursts, int frames, int count, float p, float2* __restrict__ fused)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)bursts * count)
        return;
    long long at = i / count * frames * count + i % count;
    float largest = 0.0f, total = 0.0f;
    float2 sum = make_float2(0.0f, 0.0f);
    for (int frame = 0; frame < frames; ++frame, at += count) {
        const float magnitude = magnitudes[at];
        const float2 z = spectra[at], by = factors(magnitude, largest, p);
        total = by.x * total + by.y;
        sum = make_float2(by.x * sum.x + by.y * z.x, by.x * sum.y + by.y * z.y);
        largest = max(largest, magnitude);
    }
    fused[i] = make_float2(sum.x / total, sum.y / total);
}
