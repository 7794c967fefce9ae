// Kernels of kernels.patches. Images are row-major float32; patches and cores are stacks of row-major squares.

// One block per patch. Thread after thread writes pixel after pixel of the patch and reads along image rows, so
// that both are coalesced; the tables tell which image row and column each pixel mirrors.
//
// Per pixel: 4 bytes written; 4 read, mostly from cache, since neighbouring patches overlap; 8 of tables, from L1.
// No floating-point operations.
extern "C" __global__ void extract_patches(const float* __restrict__ image, int width,
                                           const int* __restrict__ source_rows,
                                           const int* __restrict__ source_cols,
                                           int start, int cols, int stride, int size, float* __restrict__ out)
{
    const int number = start + blockIdx.x;
    const int* rows = source_rows + number / cols * stride;
    const int* columns = source_cols + number % cols * stride;
    float* patch = out + (long long)blockIdx.x * size * size;

    // (m, n) walks along with i, without a division per pixel.
    const int rows_per_step = blockDim.x / size, columns_per_step = blockDim.x % size;
    int m = threadIdx.x / size, n = threadIdx.x % size;
    for (int i = threadIdx.x; i < size * size; i += blockDim.x) {
        patch[i] = image[(long long)rows[m] * width + columns[n]];
        m += rows_per_step;
        n += columns_per_step;
        if (n >= size) {
            n -= size;
            ++m;
        }
    }
}

// One thread per output pixel of the rows from first_y on, which gathers the cores that cover it:
//
//     y - top = i * stride + m,  0 <= m < size,  for the rows i of cores; columns likewise.
//
// Neighbouring threads read neighbouring pixels of the same cores. No two threads write to the same pixel, and
// each adds in the order of the patch numbers: the result is the same for every split into batches.
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

    float* target = out + (long long)y * width + x;
    float total = *target;
    for (int i = first_i; i <= last_i; ++i) {
        const int m = down - i * stride;
        const float row_weight = row_weights[i * size + m];
        // The first and the last row of cores may be there in part.
        const int row_start = start - i * cols;
        const int begin = max(first_j, row_start), end = min(last_j, row_start + count - 1);
        for (int j = begin; j <= end; ++j) {
            const int n = across - j * stride;
            const float weight = row_weight * col_weights[j * size + n];
            total = fmaf(weight, cores[((long long)(j - row_start) * size + m) * size + n], total);
        }
    }
    *target = total;
}
