// Kernels of kernels.quotient. Spectra are row-major complex half spectra; count is the number of frequencies of one.
// One thread per frequency: neighbouring threads read and write neighbouring numbers.

// Sum the spectra of the features and divide. The estimate before, times beta, comes in as `quotient`.
//
// Per frequency: 16 bytes read and 12 floating-point operations for each pair of features, 16 bytes for the quotient.
extern "C" __global__ void divide_features(const float2* __restrict__ sharp, const float2* __restrict__ blurred,
                                           int photographs, int features, int count, float scale, float beta,
                                           float2* __restrict__ quotient)
{
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)photographs * count)
        return;
    long long at = i / count * features * count + i % count;
    float2 cross = make_float2(0.0f, 0.0f);
    float power = 0.0f;
    for (int feature = 0; feature < features; ++feature, at += count) {
        const float2 x = sharp[at], y = blurred[at];
        cross.x += x.x * y.x + x.y * y.y;
        cross.y += x.x * y.y - x.y * y.x;
        power += x.x * x.x + x.y * x.y;
    }
    const float share = 1.0f / (scale * power + beta);
    const float2 before = quotient[i];
    quotient[i] = make_float2(share * (scale * cross.x + before.x), share * (scale * cross.y + before.y));
}

// Divide the spectra of photographs by those of their kernels: 24 bytes and 12 floating-point operations per frequency.
extern "C" __global__ void divide_image(const float2* __restrict__ blur, int count, float weight,
                                        float2* __restrict__ spectrum)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float2 k = blur[i], y = spectrum[i];
    const float share = 1.0f / (k.x * k.x + k.y * k.y + weight);
    spectrum[i] = make_float2(share * (k.x * y.x + k.y * y.y), share * (k.x * y.y - k.y * y.x));
}

// Fade one pixel per thread: 8 bytes and 2 floating-point operations; the windows come from the cache.
extern "C" __global__ void fade(const float* __restrict__ planes, int count, int height, int width,
                                const float* __restrict__ rows, const float* __restrict__ cols,
                                float* __restrict__ faded)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const long long line = blockIdx.y;
    if (x >= width)
        return;
    for (long long at = line; at < (long long)count * height; at += gridDim.y)
        faded[at * width + x] = planes[at * width + x] * rows[at % height] * cols[x];
}
