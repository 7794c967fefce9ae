// Kernels of kernels.correlation. Planes are row-major float32, spectra row-major complex half spectra, of which
// frequencies is the number of complex numbers. Neighbouring threads read and write neighbouring pixels or frequencies.
//
//     planes, cores, windows   (photographs, tiles, maps, ...)
//     products                 (photographs, pairs, a range of frequencies)
//     sums                     (photographs, outputs, frequencies)

// Cut out tiles and fill them up with zeros. What lies above and to the left of a core is at the end of its plane.
//
// One thread per pixel, and a row of blocks per plane: 4 bytes written, and 4 read where the plane is not zero.
extern "C" __global__ void cut_tiles(const float* __restrict__ maps, int features, int first_map, int count, int height,
                                     int width, int planes, int tiles, int first_tile, int tiles_across,
                                     int core_height, int core_width, int reach_down, int reach_across, int rows,
                                     int cols, float* __restrict__ out)
{
    const int pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= rows * cols)
        return;
    int y = pixel / cols, x = pixel % cols;
    y -= y >= rows - reach_down ? rows : 0;
    x -= x >= cols - reach_across ? cols : 0;
    const bool within = y < core_height + reach_down && x < core_width + reach_across;
    for (int plane = blockIdx.y; plane < planes; plane += gridDim.y) {
        const int map = first_map + plane % count, tile = first_tile + plane / count % tiles;
        const int photograph = plane / count / tiles;
        const int row = tile / tiles_across * core_height + y, col = tile % tiles_across * core_width + x;
        const bool inside = within && row >= 0 && row < height && col >= 0 && col < width;
        const long long at = (((long long)photograph * features + map) * height + row) * width + col;
        out[(long long)plane * rows * cols + pixel] = inside ? maps[at] : 0.0f;
    }
}

// Multiply the spectra of the pairs first_pair to last_pair - 1, summed over tiles: conj(core) * window. The arrays cores
// and windows begin with the maps core_start and window_start.
//
// One thread per frequency and square of pairs, blockIdx.y the number of the square among those from (first_i, first_j)
// on. Per frequency, tile and square of 16 pairs: 64 bytes read, mostly from cache, for 128 floating-point operations;
// 8 bytes written per pair, and as many read where products are added to those before.
constexpr int SIDE = 4;
extern "C" __global__ void multiply_pairs(const float2* __restrict__ cores, int core_start, int core_count,
                                          const float2* __restrict__ windows, int window_start, int window_count,
                                          int features, int tiles, int frequencies, int first_i, int first_j,
                                          int squares_across, int first_pair, int last_pair, int start, int length,
                                          int add, float2* __restrict__ products)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    const int top = first_i + blockIdx.y / squares_across * SIDE, left = first_j + blockIdx.y % squares_across * SIDE;
    if (k >= length || top > left + SIDE - 1)
        return;
    float2 sums[SIDE][SIDE];
#pragma unroll
    for (int i = 0; i < SIDE; ++i)
#pragma unroll
        for (int j = 0; j < SIDE; ++j)
            sums[i][j] = make_float2(0.0f, 0.0f);
    for (int tile = 0; tile < tiles; ++tile) {
        const long long number = (long long)blockIdx.z * tiles + tile;
        float2 core[SIDE], window[SIDE];
#pragma unroll
        for (int n = 0; n < SIDE; ++n) {
            // Maps beyond the last are read as the last, and not written.
            const int i = min(top + n - core_start, core_count - 1), j = min(left + n - window_start, window_count - 1);
            core[n] = cores[(number * core_count + i) * frequencies + start + k];
            window[n] = windows[(number * window_count + j) * frequencies + start + k];
        }
#pragma unroll
        for (int i = 0; i < SIDE; ++i)
#pragma unroll
            for (int j = 0; j < SIDE; ++j) {
                sums[i][j].x += core[i].x * window[j].x + core[i].y * window[j].y;
                sums[i][j].y += core[i].x * window[j].y - core[i].y * window[j].x;
            }
    }
#pragma unroll
    for (int n = 0; n < SIDE; ++n)
#pragma unroll
        for (int m = 0; m < SIDE; ++m) {
            const int i = top + n, j = left + m, pair = i * features - i * (i - 1) / 2 + j - i;
            if (i > j || j >= features || pair < first_pair || pair >= last_pair)
                continue;
            const long long row = (long long)blockIdx.z * (last_pair - first_pair) + pair - first_pair;
            float2* out = products + row * length + k;
            *out = add ? make_float2(out->x + sums[n][m].x, out->y + sums[n][m].y) : sums[n][m];
        }
}

// Add the mixed products to the sums: real parts under the weights `even`, imaginary parts under `odd`, both of shape
// (pairs, outputs), with outputs filled up to a multiple of OUTPUTS.
//
// One thread per frequency and OUTPUTS outputs. For each pair it reads 8 bytes, and 64 of weights, the same ones for all
// threads, for 4 * OUTPUTS floating-point operations; for each output it reads and writes 8 bytes.
constexpr int OUTPUTS = 8;
extern "C" __global__ void mix_pairs(const float2* __restrict__ products, const float* __restrict__ even,
                                     const float* __restrict__ odd, int pairs, int outputs, int frequencies, int start,
                                     int length, float2* __restrict__ sums)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x, first = blockIdx.y * OUTPUTS;
    if (k >= length)
        return;
    const int stride = (outputs + OUTPUTS - 1) / OUTPUTS * OUTPUTS;
    float2 mixed[OUTPUTS];
#pragma unroll
    for (int n = 0; n < OUTPUTS; ++n)
        mixed[n] = make_float2(0.0f, 0.0f);
    for (int pair = 0; pair < pairs; ++pair) {
        const float2 product = products[((long long)blockIdx.z * pairs + pair) * length + k];
        // Four weights at once: the loads would be the bottleneck otherwise.
#pragma unroll
        for (int n = 0; n < OUTPUTS; n += 4) {
            const float4 x = *(const float4*)(even + pair * stride + first + n);
            const float4 y = *(const float4*)(odd + pair * stride + first + n);
            mixed[n].x += x.x * product.x;
            mixed[n].y += y.x * product.y;
            mixed[n + 1].x += x.y * product.x;
            mixed[n + 1].y += y.y * product.y;
            mixed[n + 2].x += x.z * product.x;
            mixed[n + 2].y += y.z * product.y;
            mixed[n + 3].x += x.w * product.x;
            mixed[n + 3].y += y.w * product.y;
        }
    }
#pragma unroll
    for (int n = 0; n < OUTPUTS; ++n)
        if (first + n < outputs) {
            float2* out = sums + ((long long)blockIdx.z * outputs + first + n) * frequencies + start + k;
            *out = make_float2(out->x + mixed[n].x, out->y + mixed[n].y);
        }
}
