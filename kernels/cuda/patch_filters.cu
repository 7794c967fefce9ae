// Kernels of kernels.patch_filters. size is the odd side of a patch, half is size / 2; filters are the planar half spectra
// (real plane, then imaginary plane, each size x (half + 1)) of the patches, one after the other.

// Multiply complex half spectra by the filters, in place, one block per patch.
//
// Column 0 holds both frequencies of each conjugate pair. There the Hermitian part of the filter,
// (G[u] + conj(G[-u])) / 2, is applied, because the complex-to-real transform requires symmetry.
//
// Per coefficient: 24 bytes and 6 floating-point operations.
extern "C" __global__ void multiply_spectra(float2* __restrict__ spectra, const float* __restrict__ filters,
                                            int size)
{
    const int columns = size / 2 + 1, plane = size * columns;
    float2* spectrum = spectra + (long long)blockIdx.x * plane;
    const float* real = filters + (long long)blockIdx.x * 2 * plane;
    const float* imag = real + plane;
    for (int i = threadIdx.x; i < plane; i += blockDim.x) {
        float g = real[i], h = imag[i];
        if (i % columns == 0) {
            const int opposite = (plane - i) % plane;
            g = 0.5f * (g + real[opposite]);
            h = 0.5f * (h - imag[opposite]);
        }
        const float2 z = spectrum[i];
        spectrum[i] = make_float2(z.x * g - z.y * h, z.x * h + z.y * g);
    }
}

// Filter spectra given as sums over cosines and sines, in place, one block per patch. The sums are laid out as
//
//                     columns: cos v, v = 0 .. half    sin v, v = 1 .. half
//     rows: cos u, u = 0 .. half        cc                      cs
//           sin u, u = 1 .. half        sc                      ss
//
// and give the spectrum at u, (cc - ss) - i (sc + cs), and at -u, (cc + ss) + i (sc - cs). The results are the
// coefficients of the same products in the real part of the inverse transform. They include its scale and the number of
// frequencies that a coefficient stands for: a column also stands for its mirror image, except column 0, and row 0
// mirrors itself.
__device__ void filter_all_sums(float* sums, const float* filter, int size)
{
    const int half = size / 2, columns = half + 1;
    const float* real = filter;
    const float* imag = filter + size * columns;
    for (int i = threadIdx.x; i < columns * columns; i += blockDim.x) {
        const int u = i / columns, v = i % columns;
        const int plus = u * columns + v, minus = (u == 0 ? 0 : size - u) * columns + v;
        float* cos_row = sums + u * size + v;
        float* sin_row = sums + (half + u) * size + v;

        const float cc = cos_row[0], cs = v == 0 ? 0.0f : cos_row[half];
        const float sc = u == 0 ? 0.0f : sin_row[0], ss = u == 0 || v == 0 ? 0.0f : sin_row[half];
        float x = cc - ss, y = sc + cs, g = real[plus], h = imag[plus];
        const float p = x * g + y * h, q = y * g - x * h;
        x = cc + ss, y = sc - cs, g = real[minus], h = imag[minus];
        const float r = x * g - y * h, s = x * h + y * g;

        const float scale = (u == 0 ? 0.5f : 1.0f) * (v == 0 ? 1.0f : 2.0f) / (size * size);
        cos_row[0] = scale * (p + r);
        if (v > 0)
            cos_row[half] = scale * (q - s);
        if (u > 0)
            sin_row[0] = scale * (q + s);
        if (u > 0 && v > 0)
            sin_row[half] = scale * (r - p);
    }
}

// Per (u, v): 48 bytes and 25 floating-point operations.
extern "C" __global__ void filter_sums(float* __restrict__ sums, const float* __restrict__ filters, int size)
{
    filter_all_sums(sums + (long long)blockIdx.x * size * size,
                    filters + (long long)blockIdx.x * 2 * size * (size / 2 + 1), size);
}

// The whole filter in one kernel, from patches to cores in global memory.
//
// With the origin in the middle of the patch, cosines are even and sines odd. A patch is folded at its middle into even
// and odd parts, along both axes: even parts need cosines only and odd parts sines only, which halves the products. A
// folded matrix holds its even part (0 .. half) before its odd part (1 .. half), along both axes:
//
//     patch --fold--> a --columns--> b --rows--> a --filter--> a --columns--> b --rows--> a --unfold--> core
//
// where a and b are in shared memory and the second pair of products computes only the pixels of the core. The tables
// hold cos and sin of 2 pi u x / size, one row per x or u: they are symmetric.

constexpr int TILE = 5;  // A thread holds TILE x TILE sums in registers; 65 = 13 * 5.

__device__ int tiles(int length) { return (length + TILE - 1) / TILE; }

// Set the tile at (i, j) of out, of which rows x columns exist, to that of left * right.
__device__ void multiply_tile(const float* left, int left_stride, const float* right, int right_stride, int depth,
                              int i, int rows, int j, int columns, float* out, int out_stride)
{
    // Beyond the edge the last row or column is computed again, but not stored.
    const float* row[TILE];
    const float* column[TILE];
#pragma unroll
    for (int n = 0; n < TILE; ++n) {
        row[n] = left + min(i + n, rows - 1) * left_stride;
        column[n] = right + min(j + n, columns - 1);
    }
    float sums[TILE][TILE] = {};
    for (int k = 0; k < depth; ++k) {
        float factors[TILE];
#pragma unroll
        for (int r = 0; r < TILE; ++r)
            factors[r] = row[r][k];
#pragma unroll
        for (int c = 0; c < TILE; ++c) {
            const float term = column[c][k * right_stride];
#pragma unroll
            for (int r = 0; r < TILE; ++r)
                sums[r][c] = fmaf(factors[r], term, sums[r][c]);
        }
    }
#pragma unroll
    for (int r = 0; r < TILE; ++r)
#pragma unroll
        for (int c = 0; c < TILE; ++c)
            if (i + r < rows && j + c < columns)
                out[(i + r) * out_stride + j + c] = sums[r][c];
}

// Cosines and sines, half + 1 and half squared.
struct Tables {
    const float* cosines;
    const float* sines;
    int half;
};

// Transform every column of a folded matrix of the given width, to the terms 0 .. last of the even and odd part.
__device__ void transform_columns(Tables tables, const float* in, float* out, int last, int width)
{
    const int across = tiles(width), even = tiles(last + 1) * across;
    for (int t = threadIdx.x; t < even + tiles(last) * across; t += blockDim.x) {
        const bool odd = t >= even;
        const int depth = tables.half + !odd, tile = odd ? t - even : t;
        multiply_tile(odd ? tables.sines : tables.cosines, depth, odd ? in + (tables.half + 1) * width : in, width,
                      depth, tile / across * TILE, last + !odd, tile % across * TILE, width,
                      odd ? out + (last + 1) * width : out, width);
    }
    __syncthreads();
}

// Transform every row of a folded matrix of the given height in the same way.
__device__ void transform_rows(Tables tables, const float* in, float* out, int last, int height)
{
    const int down = tiles(height), even = tiles(last + 1) * down;
    for (int t = threadIdx.x; t < even + tiles(last) * down; t += blockDim.x) {
        const bool odd = t >= even;
        const int depth = tables.half + !odd, tile = odd ? t - even : t;
        multiply_tile(odd ? in + tables.half + 1 : in, 2 * tables.half + 1, odd ? tables.sines : tables.cosines, depth,
                      depth, tile % down * TILE, height, tile / down * TILE, last + !odd,
                      odd ? out + last + 1 : out, 2 * last + 1);
    }
    __syncthreads();
}

// Write the sums and differences of pixels that mirror each other about the middle row and column. The pixels of the
// middle row and column mirror themselves and are counted once.
__device__ void fold(const float* patch, float* folded, int half)
{
    const int size = 2 * half + 1;
    for (int i = threadIdx.x; i < (half + 1) * (half + 1); i += blockDim.x) {
        const int a = i / (half + 1), b = i % (half + 1);
        const float* above = patch + (half - a) * size + half;
        const float* below = patch + (half + a) * size + half;
        const float left = b == 0 ? 0.0f : below[-b], right = below[b];
        const float left_above = a == 0 || b == 0 ? 0.0f : above[-b], right_above = a == 0 ? 0.0f : above[b];
        float* even = folded + a * size + b;
        float* odd = folded + (half + a) * size + b;
        even[0] = (right + right_above) + (left + left_above);
        if (b > 0)
            even[half] = (right + right_above) - (left + left_above);
        if (a > 0)
            odd[0] = (right - right_above) + (left - left_above);
        if (a > 0 && b > 0)
            odd[half] = (right - right_above) - (left - left_above);
    }
    __syncthreads();
}

// Compute the pixels in all four quadrants from their even and odd parts.
__device__ void unfold(const float* folded, float* core, int size)
{
    const int reach = size / 2, width = 2 * reach + 1;
    for (int i = threadIdx.x; i < (reach + 1) * (reach + 1); i += blockDim.x) {
        const int a = i / (reach + 1), b = i % (reach + 1);
        const float* even = folded + a * width + b;
        const float* odd = folded + (reach + a) * width + b;
        const float ee = even[0], eo = b == 0 ? 0.0f : even[reach];
        const float oe = a == 0 ? 0.0f : odd[0], oo = a == 0 || b == 0 ? 0.0f : odd[reach];
        // An even core ends one pixel earlier, below and on the right.
        const bool below = reach + a < size, right = reach + b < size;
        float* middle = core + reach * size + reach;
        middle[-a * size - b] = (ee - oe) - (eo - oo);
        if (right)
            middle[-a * size + b] = (ee - oe) + (eo - oo);
        if (below)
            middle[a * size - b] = (ee + oe) - (eo + oo);
        if (below && right)
            middle[a * size + b] = (ee + oe) + (eo + oo);
    }
}

// One block per patch; shared memory for two patches and the tables.
//
// Per patch of 65 pixels and core of 33: 39 kB and 0.76 million floating-point operations.
extern "C" __global__ void filter_patches(const float* __restrict__ patches, const float* __restrict__ filters,
                                          const float* __restrict__ cosines, const float* __restrict__ sines,
                                          int size, int core, float* __restrict__ out)
{
    extern __shared__ float shared[];
    const int half = size / 2, reach = core / 2, plane = size * size;
    const int cosine_count = (half + 1) * (half + 1), sine_count = half * half;
    float* a = shared;
    float* b = a + plane;
    float* own_cosines = b + plane;
    float* own_sines = own_cosines + cosine_count;
    for (int i = threadIdx.x; i < cosine_count; i += blockDim.x)
        own_cosines[i] = cosines[i];
    for (int i = threadIdx.x; i < sine_count; i += blockDim.x)
        own_sines[i] = sines[i];
    const Tables tables = {own_cosines, own_sines, half};

    fold(patches + (long long)blockIdx.x * plane, a, half);
    transform_columns(tables, a, b, half, size);
    transform_rows(tables, b, a, half, size);
    filter_all_sums(a, filters + (long long)blockIdx.x * 2 * size * (half + 1), size);
    __syncthreads();
    transform_columns(tables, a, b, reach, size);
    transform_rows(tables, b, a, reach, 2 * reach + 1);
    unfold(a, out + (long long)blockIdx.x * core * core, core);
}
