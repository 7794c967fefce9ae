// Kernels of kernels.spectra. One thread per number, neighbours side by side: memory is the bottleneck of all of them.
// Sums are taken in a fixed order, so that results are reproducible.

// The factors of a solution: 24 bytes and 9 floating-point operations per frequency.
extern "C" __global__ void weigh(const float* __restrict__ power, const float* __restrict__ prior,
                                 const float* __restrict__ trust, const float* __restrict__ data, float ease, int count,
                                 float* __restrict__ inverse, float* __restrict__ unexplained,
                                 float* __restrict__ easing)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float t = trust[i], p = prior[i], share = 1.0f / (*data * t * power[i] + p), left = t * p * share;
    inverse[i] = share;
    unexplained[i] = left;
    easing[i] = 1.0f / (left + ease * t);
}

// What a solution leaves unexplained: 44 bytes and 13 floating-point operations per frequency.
extern "C" __global__ void misfit(const float2* __restrict__ transfer, const float2* __restrict__ spectrum,
                                  const float2* __restrict__ pull, const float* __restrict__ trust,
                                  const float* __restrict__ inverse, const float* __restrict__ unexplained, int count,
                                  float2* __restrict__ result)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float2 k = transfer[i], y = spectrum[i], g = pull[i];
    const float share = trust[i] * inverse[i], left = unexplained[i];
    result[i] = make_float2(left * y.x - share * (k.x * g.x - k.y * g.y), left * y.y - share * (k.x * g.y + k.y * g.x));
}

// The solution: 40 bytes and 13 floating-point operations per frequency.
extern "C" __global__ void solution(const float2* __restrict__ transfer, const float2* __restrict__ spectrum,
                                    const float2* __restrict__ pull, const float* __restrict__ trust,
                                    const float* __restrict__ inverse, const float* __restrict__ data, int count,
                                    float2* __restrict__ result)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float2 k = transfer[i], y = spectrum[i], g = pull[i];
    const float seen = *data * trust[i], share = inverse[i];
    result[i] = make_float2(share * (seen * (k.x * y.x + k.y * y.y) + g.x),
                            share * (seen * (k.x * y.y - k.y * y.x) + g.y));
}

// Multiply a spectrum by a real response: 20 bytes and 2 floating-point operations per frequency.
extern "C" __global__ void respond(const float* __restrict__ response, const float2* __restrict__ spectrum, int count,
                                   float2* __restrict__ result)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float share = response[i];
    const float2 z = spectrum[i];
    result[i] = make_float2(share * z.x, share * z.y);
}

// Conjugate gradients. The scalars never leave the device; they lie in `state`:
constexpr int UNKNOWN = 0, SQUARE = 1, TURN = 2, STEP = 3, STOPPED = 4;
// the number of unknown pixels, the product of the residual and the preconditioned one, the share of the last direction
// in the next one, the length of the step, and whether the steps are over: from then on they have length 0.
//
// Sums over a plane are taken by BLOCK threads in each of up to BLOCKS blocks, and those of the blocks, in `partials`,
// by the block of one warp that also settles the scalars. After the first BLOCKS partial sums follow those of the
// squares of the residual.
constexpr int BLOCK = 256, GROUP = 16, BLOCKS = 256, WARP = 32;

// Add up the sums of all threads of a block; the result is that of thread 0.
__device__ float sum_of_block(float* sums, float sum)
{
    const int thread = threadIdx.x;
    sums[thread] = sum;
    __syncthreads();
    float total = 0.0f;
    if (thread < BLOCK / GROUP)
        for (int n = 0; n < GROUP; ++n)
            total += sums[thread + n * (BLOCK / GROUP)];
    __syncthreads();
    if (thread < BLOCK / GROUP)
        sums[thread] = total;
    __syncthreads();
    total = 0.0f;
    if (thread == 0)
        for (int n = 0; n < BLOCK / GROUP; ++n)
            total += sums[n];
    __syncthreads();
    return total;
}

// Add up the sums of the blocks, by one warp.
__device__ float sum_of_partials(float* sums, const float* partials, int blocks)
{
    float sum = 0.0f;
    for (int n = threadIdx.x; n < blocks; n += WARP)
        sum += partials[n];
    __syncthreads();
    sums[threadIdx.x] = sum;
    __syncthreads();
    sum = 0.0f;
    for (int n = 0; n < WARP; ++n)
        sum += sums[n];
    return sum;
}

// The first residual, and the sums of its squares and of the unknown pixels: 9 bytes, 3 operations per pixel.
extern "C" __global__ void start_steps(const float* __restrict__ misfit, const bool* __restrict__ unknown, int count,
                                       float* __restrict__ residual, float* __restrict__ partials)
{
    extern __shared__ float shared[];
    float square = 0.0f, number = 0.0f;
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < count; i += gridDim.x * BLOCK) {
        const float value = unknown[i] ? -misfit[i] : 0.0f;
        residual[i] = value;
        square = fmaf(value, value, square);
        number += unknown[i] ? 1.0f : 0.0f;
    }
    square = sum_of_block(shared, square);
    number = sum_of_block(shared, number);
    if (threadIdx.x == 0) {
        partials[blockIdx.x] = number;
        partials[BLOCKS + blockIdx.x] = square;
    }
}

// Settle the scalars before the first step.
extern "C" __global__ void settle_start(const float* __restrict__ partials, int blocks, float* __restrict__ state)
{
    extern __shared__ float shared[];
    const float number = sum_of_partials(shared, partials, blocks);
    if (threadIdx.x == 0) {
        state[UNKNOWN] = number;
        state[SQUARE] = 0.0f;
        state[STOPPED] = 0.0f;
    }
}

// The inner product of two planes: 8 bytes and 2 operations per pixel.
extern "C" __global__ void multiply_planes(const float* __restrict__ left, const float* __restrict__ right, int count,
                                           float* __restrict__ partials)
{
    extern __shared__ float shared[];
    float sum = 0.0f;
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < count; i += gridDim.x * BLOCK)
        sum = fmaf(left[i], right[i], sum);
    sum = sum_of_block(shared, sum);
    if (threadIdx.x == 0)
        partials[blockIdx.x] = sum;
}

// Settle how far the next direction turns, and whether the residual is small enough; `tolerance` is per pixel.
extern "C" __global__ void settle_turn(const float* __restrict__ partials, int blocks, float tolerance,
                                       float* __restrict__ state)
{
    extern __shared__ float shared[];
    const float square = sum_of_partials(shared, partials, blocks);
    const float residual = sum_of_partials(shared, partials + BLOCKS, blocks);
    if (threadIdx.x == 0) {
        // No direction before the first one: the product before it is 0.
        state[TURN] = state[SQUARE] > 0.0f ? square / state[SQUARE] : 0.0f;
        state[SQUARE] = square;
        if (residual <= tolerance * state[UNKNOWN])
            state[STOPPED] = 1.0f;
    }
}

// The next direction, 0 at known pixels: 13 bytes and 2 operations per pixel.
extern "C" __global__ void turn_direction(const float* __restrict__ preconditioned, const bool* __restrict__ unknown,
                                          const float* __restrict__ state, int count, float* __restrict__ direction)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        direction[i] = unknown[i] ? fmaf(state[TURN], direction[i], preconditioned[i]) : 0.0f;
}

// Settle the length of the step: 0 once the residual is small, or where the curvature is not positive, which rounding
// makes of it when nothing is left.
extern "C" __global__ void settle_step(const float* __restrict__ partials, int blocks, float* __restrict__ state)
{
    extern __shared__ float shared[];
    const float curvature = sum_of_partials(shared, partials, blocks);
    if (threadIdx.x == 0) {
        if (!(curvature > 0.0f))
            state[STOPPED] = 1.0f;
        state[STEP] = state[STOPPED] > 0.0f ? 0.0f : state[SQUARE] / curvature;
    }
}

// Go the step in the unknown pixels, and subtract from the residual what it changes: 25 bytes, 6 operations per pixel.
extern "C" __global__ void step_in_pixels(const float* __restrict__ direction, const float* __restrict__ change,
                                          const bool* __restrict__ unknown, const float* __restrict__ state, int count,
                                          float* __restrict__ pixels, float* __restrict__ residual,
                                          float* __restrict__ partials)
{
    extern __shared__ float shared[];
    const float step = state[STEP];
    float square = 0.0f;
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < count; i += gridDim.x * BLOCK)
        if (unknown[i]) {
            pixels[i] = fmaf(step, direction[i], pixels[i]);
            const float value = fmaf(-step, change[i], residual[i]);
            residual[i] = value;
            square = fmaf(value, value, square);
        }
    square = sum_of_block(shared, square);
    if (threadIdx.x == 0)
        partials[BLOCKS + blockIdx.x] = square;
}

// Go the step in the spectrum of the plane too: 24 bytes, 4 operations per frequency.
extern "C" __global__ void step_in_spectrum(const float2* __restrict__ change, const float* __restrict__ state,
                                            int count, float2* __restrict__ spectrum)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count)
        return;
    const float step = state[STEP];
    const float2 z = change[i], y = spectrum[i];
    spectrum[i] = make_float2(fmaf(step, z.x, y.x), fmaf(step, z.y, y.y));
}
