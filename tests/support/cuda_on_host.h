// Enough of CUDA to run a kernel on the host, block after block.
//
// The threads of a block run one after the other. Where they cooperate, each runs until it ends or waits at a barrier:
// where a barrier is missing, the first thread reads what the others have not written yet.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__ static
#define __shared__
#define __restrict__

struct dim3 {
    unsigned x, y, z;
};
struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
[[maybe_unused]] static float2 make_float2(float x, float y) { return {x, y}; }
[[maybe_unused]] static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
[[maybe_unused]] static int __float_as_int(float x)
{
    int bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
static dim3 gridDim, blockDim, blockIdx, threadIdx;
using std::max;
using std::min;

constexpr int SHARED_FLOATS = 48 * 1024 / 4, GUARD_FLOATS = 64;
float shared[SHARED_FLOATS + GUARD_FLOATS];

struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    dim3 index;
    bool ended;
};
static ucontext_t scheduler;
static Thread* running;

[[maybe_unused]] static void __syncthreads() { swapcontext(&running->context, &scheduler); }

template <class Kernel> static Kernel* current_kernel;
template <class Kernel> static void run_thread()
{
    (*current_kernel<Kernel>)();
    running->ended = true;
}

// Returns whether the kernel kept within its shared memory.
template <class Kernel> static bool run_block(std::vector<Thread>& threads, Kernel& kernel, unsigned shared_bytes)
{
    std::fill(std::begin(shared), std::end(shared), NAN);
    current_kernel<Kernel> = &kernel;
    for (unsigned i = 0; i < threads.size(); ++i) {
        Thread& thread = threads[i];
        thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        thread.ended = false;
        thread.stack.resize(16384);
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, run_thread<Kernel>, 0);
    }
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (Thread& thread : threads) {
            if (thread.ended)
                continue;
            running = &thread;
            threadIdx = thread.index;
            swapcontext(&scheduler, &thread.context);
            waiting |= !thread.ended;
        }
    }
    return std::all_of(shared + shared_bytes / 4, std::end(shared), [](float x) { return std::isnan(x); });
}

template <bool COOPERATIVE, class Kernel>
static bool run_on_host(const unsigned* grid, const unsigned* block, unsigned shared_bytes, Kernel kernel)
{
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    std::vector<Thread> threads(block[0] * block[1] * block[2]);
    bool within = true;
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
                if (COOPERATIVE)
                    within &= run_block(threads, kernel, shared_bytes);
                else
                    for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
                        for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
                            for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x)
                                kernel();
    return within;
}
