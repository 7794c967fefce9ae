// Kernels of kernels.edges. Images are row-major planes and periodic.

// One thread per pixel: 12 bytes and 2 floating-point operations.
extern "C" __global__ void forward_differences(const float* __restrict__ image, int height, int width,
                                               float* __restrict__ differences)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= height * width)
        return;
    const int x = i % width;
    const float here = image[i];
    differences[i] = image[x + 1 < width ? i + 1 : i - x] - here;
    differences[height * width + i] = image[i + width < height * width ? i + width : x] - here;
}

// The smaller of two differences in magnitude where they agree in sign, 0 elsewhere.
__device__ float minmod(float forward, float backward)
{
    return forward * backward > 0.0f ? fminf(fabsf(forward), fabsf(backward)) : 0.0f;
}

__device__ int wrapped(int place, int size)
{
    const int rest = place % size;
    return rest < 0 ? rest + size : rest;
}

// Each block filters SIDE x SIDE pixels from a square that is wider by HALO on all sides. Every iteration leaves a frame
// of one pixel more that is no longer right, so that up to HALO iterations need no other block. All blocks have
// the same number of threads, which go through the square in steps: about 32 operations for each value.
constexpr int SIDE = 32, HALO = 4, WIDE = SIDE + 2 * HALO;
extern "C" __global__ void shock_filter(const float* __restrict__ image, float step, int iterations, int height,
                                        int width, float* __restrict__ result)
{
    extern __shared__ float shared[];  // two squares
    const int left = blockIdx.x * SIDE - HALO, top = blockIdx.y * SIDE - HALO;
    for (int i = threadIdx.x; i < WIDE * WIDE; i += blockDim.x)
        shared[i] = image[(long long)wrapped(top + i / WIDE, height) * width + wrapped(left + i % WIDE, width)];
    __syncthreads();
    for (int done = 0; done < iterations; ++done) {
        const float* before = shared + done % 2 * WIDE * WIDE;
        float* after = shared + (1 - done % 2) * WIDE * WIDE;
        const int side = WIDE - 2 * (done + 1);
        for (int i = threadIdx.x; i < side * side; i += blockDim.x) {
            const int place = (i / side + done + 1) * WIDE + i % side + done + 1;
            const float *above = before + place - WIDE, *here = before + place, *below = before + place + WIDE;
            const float u = here[0], ux = 0.5f * (here[1] - here[-1]), uy = 0.5f * (below[0] - above[0]);
            const float uxy = 0.25f * (below[1] + above[-1] - below[-1] - above[1]);
            const float curvature = ux * ux * (here[1] - 2.0f * u + here[-1]) + 2.0f * ux * uy * uxy +
                                    uy * uy * (below[0] - 2.0f * u + above[0]);
            const float across = minmod(here[1] - u, u - here[-1]), along = minmod(below[0] - u, u - above[0]);
            const float move = step * sqrtf(across * across + along * along);
            after[place] = curvature > 0.0f ? u - move : curvature < 0.0f ? u + move : u;
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < SIDE * SIDE; i += blockDim.x) {
        const int row = i / SIDE + HALO, col = i % SIDE + HALO;
        if (top + row < height && left + col < width)
            result[(long long)(top + row) * width + left + col] = shared[(iterations % 2 * WIDE + row) * WIDE + col];
    }
}

// The length of a gradient: the planes of its two components follow each other.
__device__ float length_at(const float* edges, int area, int place)
{
    return hypotf(edges[place], edges[area + place]);
}

// Find the length that `below` of a sample of the gradients do not reach, and go a share of the way to the next one, by
// one block. A length, which is not negative, is ordered as its bits are: four rounds count the next eight bits of those
// that share the bits found so far. Each round reads 8 bytes a gradient of the sample, from the cache but for the first.
constexpr int SORTING = 512, BINS = 256;
constexpr float LONGEST = 3.4e38f;  // of all lengths that are no fault
extern "C" __global__ void find_length(const float* __restrict__ edges, int area, int stride, int below, float share,
                                       float* __restrict__ found)
{
    extern __shared__ float shared[];
    int* counts = reinterpret_cast<int*>(shared);  // of each bin, and then what is known
    int *bits = counts + BINS, *rank = bits + 1, *equal = bits + 2;
    float* larger = shared + BINS + 3;
    if (threadIdx.x == 0) {
        *bits = 0;
        *rank = below;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        for (int bin = threadIdx.x; bin < BINS; bin += SORTING)
            counts[bin] = 0;
        __syncthreads();
        const int known = *bits;
        for (long long place = (long long)threadIdx.x * stride; place < area; place += (long long)SORTING * stride) {
            const int value = __float_as_int(length_at(edges, area, (int)place));
            if (shift == 24 || (value ^ known) >> (shift + 8) == 0)
                atomicAdd(counts + (value >> shift & (BINS - 1)), 1);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            int bin = 0, left = *rank;
            for (; left >= counts[bin]; ++bin)
                left -= counts[bin];
            *bits = known | bin << shift;
            *rank = left;
            *equal = counts[bin];
        }
        __syncthreads();
    }
    const float value = __int_as_float(*bits);
    float next = value;
    if (*rank + 1 >= *equal) {  // the next one is larger, if there is any
        float least = LONGEST;
        for (long long place = (long long)threadIdx.x * stride; place < area; place += (long long)SORTING * stride) {
            const float length = length_at(edges, area, (int)place);
            if (length > value)
                least = fminf(least, length);
        }
        larger[threadIdx.x] = least;
        __syncthreads();
        for (int n = 0; n < SORTING; ++n)
            least = fminf(least, larger[n]);
        next = least < LONGEST ? least : value;
    }
    if (threadIdx.x == 0)
        *found = value + share * (next - value);
}

// Keep the gradients that are not shorter than a length: 16 bytes and 6 operations for each.
extern "C" __global__ void keep_longest(const float* __restrict__ edges, const float* __restrict__ length, int area,
                                        float* __restrict__ kept)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= area)
        return;
    const bool keep = length_at(edges, area, i) >= *length;
    kept[i] = keep ? edges[i] : 0.0f;
    kept[area + i] = keep ? edges[area + i] : 0.0f;
}
