// Kernels of kernels.nnls. Blur kernels are small, so that each launch is one block, which takes sums in a fixed order.

// The sum of the values of all threads, for each of them; there is a power of 2 of them.
__device__ float sum_of_block(float* values, float value)
{
    const int thread = threadIdx.x;
    values[thread] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (thread < half)
            values[thread] += values[thread + half];
        __syncthreads();
    }
    const float sum = values[0];
    __syncthreads();
    return sum;
}

// The largest of the values of all threads, for each of them.
__device__ float largest_of_block(float* values, float value)
{
    const int thread = threadIdx.x;
    values[thread] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (thread < half)
            values[thread] = fmaxf(values[thread], values[thread + half]);
        __syncthreads();
    }
    const float largest = values[0];
    __syncthreads();
    return largest;
}

// What the momentum becomes, and how far it carries: the descent of kernels.nnls, whose momentum restarts where `turn`,
// the product of the last correction and the last step, is positive.
__device__ float next_momentum(float before, float turn, float* push)
{
    const float momentum = turn > 0.0f ? 1.0f : before;
    const float following = 0.5f * (1.0f + sqrtf(1.0f + 4.0f * momentum * momentum));
    *push = (momentum - 1.0f) / following;
    return following;
}

// All steps of the descent for a small kernel, in one launch. The normal matrix convolves by its lags, of which those
// that two pixels of the kernel can have lie in shared memory: two loads and an operation for each pair of pixels.
extern "C" __global__ void descend_all(const float* __restrict__ lags, const float* __restrict__ target,
                                       const float* __restrict__ rate, int support, int pitch, float tolerance,
                                       int iterations, float* __restrict__ found)
{
    extern __shared__ float shared[];
    const int count = support * support, reach = 2 * support - 1;
    float *near = shared + blockDim.x, *ahead = near + reach * reach, *next = ahead + count;
    for (int i = threadIdx.x; i < reach * reach; i += blockDim.x) {
        const int down = i / reach - support + 1, across = i % reach - support + 1;
        near[i] = lags[(down < 0 ? down + pitch : down) * pitch + (across < 0 ? across + pitch : across)];
    }
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        ahead[i] = found[i];
    __syncthreads();
    const float length = *rate;
    float momentum = 1.0f;
    for (int done = 0; done < iterations; ++done) {
        float turn = 0.0f, change = 0.0f, largest = 0.0f;
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            float product = 0.0f;
            const float* row = near + (i / support + support - 1) * reach + i % support + support - 1;
            for (int m = 0; m < support; ++m, row -= reach)
                for (int n = 0; n < support; ++n)
                    product = fmaf(row[-n], ahead[m * support + n], product);
            next[i] = fmaxf(ahead[i] - length * (product - target[i]), 0.0f);
            const float moved = next[i] - found[i];
            turn = fmaf(ahead[i] - next[i], moved, turn);
            change = fmaxf(change, fabsf(moved));
            largest = fmaxf(largest, next[i]);
        }
        turn = sum_of_block(shared, turn);
        change = largest_of_block(shared, change);
        largest = largest_of_block(shared, largest);
        float push;
        momentum = next_momentum(momentum, turn, &push);
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            ahead[i] = fmaf(push, next[i] - found[i], next[i]);
            found[i] = next[i];
        }
        __syncthreads();
        if (change <= tolerance * largest)
            break;
    }
}

// A step of the descent. `ahead` and `product`, what the normal matrix makes of it, lie in the corner of a grid of `pitch` columns; `state`
// holds the momentum, and whether the steps are over: from then on nothing changes. A pixel takes 40 bytes, all of which
// lie in the cache, and 25 operations.
constexpr int MOMENTUM = 0, SETTLED = 1;
extern "C" __global__ void descend(const float* __restrict__ product, const float* __restrict__ target,
                                   const float* __restrict__ rate, int support, int pitch, float tolerance,
                                   float* __restrict__ ahead, float* __restrict__ found, float* __restrict__ state)
{
    extern __shared__ float shared[];
    if (state[SETTLED] > 0.0f)
        return;
    const float length = *rate, before = state[MOMENTUM];
    float turn = 0.0f, change = 0.0f, largest = 0.0f;
    for (int i = threadIdx.x; i < support * support; i += blockDim.x) {
        const int place = i / support * pitch + i % support;
        const float here = ahead[place], next = fmaxf(here - length * (product[place] - target[i]), 0.0f);
        const float moved = next - found[i];
        turn = fmaf(here - next, moved, turn);
        change = fmaxf(change, fabsf(moved));
        largest = fmaxf(largest, next);
    }
    turn = sum_of_block(shared, turn);
    change = largest_of_block(shared, change);
    largest = largest_of_block(shared, largest);
    float push;
    const float momentum = next_momentum(before, turn, &push);
    for (int i = threadIdx.x; i < support * support; i += blockDim.x) {
        const int place = i / support * pitch + i % support;
        const float next = fmaxf(ahead[place] - length * (product[place] - target[i]), 0.0f);
        ahead[place] = fmaf(push, next - found[i], next);
        found[i] = next;
    }
    if (threadIdx.x == 0) {
        state[MOMENTUM] = momentum;
        if (change <= tolerance * largest)
            state[SETTLED] = 1.0f;
    }
}

// Set to zero what is small, and then what is isolated. A component is known by the number of its first pixel, which
// spreads from neighbour to neighbour, and over pixels that already know a smaller one; `masses` holds its sum there.
extern "C" __global__ void keep_connected(const float* __restrict__ kernel, int height, int width, float relative,
                                          float island, int* __restrict__ labels, float* __restrict__ masses,
                                          float* __restrict__ kept)
{
    extern __shared__ float shared[];
    const int count = height * width;
    float largest = 0.0f;
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        largest = fmaxf(largest, kernel[i]);
    const float least = relative * largest_of_block(shared, largest);
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const bool keep = kernel[i] > 0.0f && kernel[i] >= least;
        labels[i] = keep ? i : -1;
        kept[i] = keep ? kernel[i] : 0.0f;
    }
    for (float spread = 1.0f; spread > 0.0f;) {
        __syncthreads();
        spread = 0.0f;
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            if (labels[i] < 0)
                continue;
            int first = labels[i];
            for (int n = 0; n < 9; ++n) {
                const int row = i / width + n / 3 - 1, col = i % width + n % 3 - 1;
                if (row >= 0 && row < height && col >= 0 && col < width && labels[row * width + col] >= 0)
                    first = min(first, labels[row * width + col]);
            }
            first = min(first, labels[first]);
            if (first < labels[i]) {
                labels[i] = first;
                spread = 1.0f;
            }
        }
        spread = largest_of_block(shared, spread);
    }
    float heaviest = 0.0f, total = 0.0f;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        float mass = 0.0f;
        if (labels[i] == i)
            for (int n = i; n < count; ++n)
                mass += labels[n] == i ? kept[n] : 0.0f;
        masses[i] = mass;
        heaviest = fmaxf(heaviest, mass);
        total += mass;
    }
    heaviest = largest_of_block(shared, heaviest);
    const float enough = fminf(island * sum_of_block(shared, total), heaviest);
    for (int i = threadIdx.x; i < count; i += blockDim.x)
        if (labels[i] >= 0 && masses[labels[i]] < enough)
            kept[i] = 0.0f;
}
