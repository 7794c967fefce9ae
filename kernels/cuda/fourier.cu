// Kernels of kernels.fourier, one block per patch. size is the odd side of a patch, filters the planar half
// spectra (real plane, then imaginary plane, each size x (size / 2 + 1)) of the patches, one after the other.

// Multiply complex half spectra by the filters, in place.
//
// Column 0 holds both halves of each pair of conjugates: there the real filter's half spectrum,
// (G[u] + conj(G[-u])) / 2, is applied, since a complex-to-real transform of anything else is undefined.
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

// Filter spectra given as sums over cosines and sines, in place. The sums of a patch are laid out as
//
//                     columns: cos v, v = 0 .. half    sin v, v = 1 .. half
//     rows: cos u, u = 0 .. half        cc                      cs
//           sin u, u = 1 .. half        sc                      ss
//
// and make up the spectrum at u, (cc - ss) - i (sc + cs), and at -u, (cc + ss) + i (sc - cs). What comes out are
// the factors of the same products in the real part of the inverse transform; those of row 0, which is its own
// opposite, count twice. A thread takes all four sums of its (u, v), next to each other for neighbouring threads.
//
// Per (u, v): 48 bytes and 20 floating-point operations.
extern "C" __global__ void filter_sums(float* __restrict__ sums, const float* __restrict__ filters, int size)
{
    const int half = size / 2, columns = half + 1, plane = size * columns;
    float* patch = sums + (long long)blockIdx.x * size * size;
    const float* real = filters + (long long)blockIdx.x * 2 * plane;
    const float* imag = real + plane;
    for (int i = threadIdx.x; i < columns * columns; i += blockDim.x) {
        const int u = i / columns, v = i % columns;
        const int plus = u * columns + v, minus = (u == 0 ? 0 : size - u) * columns + v;
        float* cos_row = patch + u * size + v;
        float* sin_row = patch + (half + u) * size + v;

        const float cc = cos_row[0], cs = v == 0 ? 0.0f : cos_row[half];
        const float sc = u == 0 ? 0.0f : sin_row[0], ss = u == 0 || v == 0 ? 0.0f : sin_row[half];
        float x = cc - ss, y = sc + cs, g = real[plus], h = imag[plus];
        const float p = x * g + y * h, q = y * g - x * h;
        x = cc + ss, y = sc - cs, g = real[minus], h = imag[minus];
        const float r = x * g - y * h, s = x * h + y * g;

        cos_row[0] = p + r;
        if (v > 0)
            cos_row[half] = q - s;
        if (u > 0)
            sin_row[0] = q + s;
        if (u > 0 && v > 0)
            sin_row[half] = r - p;
    }
}
