// Kernels of kernels.patches. Images are row-major float32; patches and cores are stacks of row-major squares.

// One block per patch. Each thread writes four neighbouring pixels of the patch at once, so that writes and reads along
// image rows are coalesced; the tables give the image row and column of each pixel, mirrored at the border. Most patches
// do not begin and end at multiples of 16 bytes: the pixels before the first and after the last are written one by one.
//
// Per pixel: 4 bytes written; 4 read, mostly from cache, since neighbouring patches overlap; at least 1 of tables, from L1,
// and 4 more where columns are mirrored: 5 loads for four pixels, or 9. No floating-point operations.
extern "C" __global__ void extract_patches(const float* __restrict__ image, int width,
                                           const int* __restrict__ source_rows,
                                           const int* __restrict__ source_cols,
                                           int start, int cols, int stride, int size, float* __restrict__ out)
{
    const int number = start + blockIdx.x, thread = threadIdx.x, threads = blockDim.x;
    const int* rows = source_rows + number / cols * stride;
    const int* columns = source_cols + number % cols * stride;
    const int area = size * size, left = columns[0];
    const bool straight = columns[size - 1] - left == size - 1;  // no column is mirrored
    float* patch = out + (long long)blockIdx.x * area;
    const int misplaced = (int)((size_t)patch / sizeof(float) % 4);
    const int head = min(area, (4 - misplaced) % 4), quads = (area - head) / 4;

    // Row and column (m, n) are advanced incrementally, without a division per pixel.
    const int rows_per_step = 4 * threads / size, columns_per_step = 4 * threads % size;
    int m = (head + 4 * thread) / size, n = (head + 4 * thread) % size;
    for (int quad = thread; quad < quads; quad += threads) {
        float pixels[4];
        const float* line = image + (long long)rows[m] * width;
        int next_m = m, next_n = n;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            pixels[k] = line[straight ? left + next_n : columns[next_n]];
            if (++next_n == size) {
                next_n = 0;
                next_m = min(next_m + 1, size - 1);
                line = image + (long long)rows[next_m] * width;
            }
        }
        *(float4*)(patch + head + 4 * quad) = make_float4(pixels[0], pixels[1], pixels[2], pixels[3]);
        m += rows_per_step;
        n += columns_per_step;
        if (n >= size) {
            n -= size;
            ++m;
        }
    }
    const int tail = area - head - 4 * quads;
    if (thread < head + tail) {
        const int i = thread < head ? thread : 4 * quads + thread;
        patch[i] = image[(long long)rows[i / size] * width + columns[i % size]];
    }
}

// One thread per output pixel of the rows from first_y on, which adds the cores that cover it:
//
//     y - top = i * stride + m,  0 <= m < size,  for the rows i of cores; columns likewise.
//
// Neighbouring threads read neighbouring pixels of the same cores. No two threads write to the same pixel, and each adds
// in the order of the patch numbers, so that the result does not depend on the batches.
//
// Every pixel of a core is read once: 4 bytes and 3 floating-point operations each, 8 bytes per output pixel.
extern "C" __global__ void overlap_add(const float* __restrict__ cores, int count, int start,
                                       const float* __restrict__ row_weights,
                                       const float* __restrict__ col_weights,
                                       int cols, int size, int stride, int top, int left,
                                       int first_y, int last_y, int width, float* __restrict__ out)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = first_y + blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= last_y)
        return;

    const int down = y - top, across = x - left;
    const int first_i = max(start / cols, (down - size + stride) / stride);
    const int last_i = min((start + count - 1) / cols, down / stride);
    const int first_j = max(0, (across - size + stride) / stride);
    const int last_j = min(cols - 1, across / stride);

    // In the next core of a row the pixel is `stride` columns further left; the same holds for its weights.
    const long long core_step = (long long)size * size - stride;
    const int weight_step = size - stride;

    float* target = out + (long long)y * width + x;
    float total = *target;
    for (int i = first_i; i <= last_i; ++i) {
        const int m = down - i * stride;
        const float row_weight = row_weights[i * size + m];
        // The first and the last row of cores may be incomplete.
        const int row_start = start - i * cols;
        const int begin = max(first_j, row_start), end = min(last_j, row_start + count - 1);
        const float* pixel = cores + ((long long)(begin - row_start) * size + m) * size + across - begin * stride;
        const float* col_weight = col_weights + begin * size + across - begin * stride;
        // Four at once keep four reads in flight. The compiler must not unroll further: with CUDA 13.0 the number of
        // iterations is then wrong, because it drops a sign in the maximum of three bounds.
#pragma unroll 1
        for (int j = begin; j <= end; j += 4) {
            float pixels[4], weights[4];
#pragma unroll
            for (int k = 0; k < 4; ++k) {
                const bool there = j + k <= end;
                pixels[k] = there ? pixel[k * core_step] : 0.0f;
                weights[k] = there ? col_weight[k * weight_step] : 0.0f;
            }
#pragma unroll
            for (int k = 0; k < 4; ++k)
                total = fmaf(row_weight * weights[k], pixels[k], total);
            pixel += 4 * core_step;
            col_weight += 4 * weight_step;
        }
    }
    *target = total;
}
