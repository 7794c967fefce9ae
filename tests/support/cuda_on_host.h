// Enough of CUDA to run a kernel on the host, block after block.
//
// The threads of a block run one after the other. Where they cooperate, each runs until it ends or waits at a barrier:
// where a barrier is missing, the first thread reads what the others have not written yet.
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <deque>
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
[[maybe_unused]] static float __int_as_float(int bits)
{
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
[[maybe_unused]] static int atomicAdd(int* place, int value)
{
    *place += value;
    return *place - value;
}
static dim3 gridDim, blockDim, blockIdx, threadIdx;
using std::max;
using std::min;

constexpr int SHARED_FLOATS = 48 * 1024 / 4, GUARD_FLOATS = 64;
static const std::vector<float> UNWRITTEN(SHARED_FLOATS + GUARD_FLOATS, NAN);
float shared[SHARED_FLOATS + GUARD_FLOATS];

// Threads are kept from block to block and from launch to launch, each with its stack. They are left and entered again by
// jumps, for a change of contexts asks the operating system.
struct Thread {
    ucontext_t context;
    jmp_buf place;
    std::vector<char> stack;
    dim3 index;
    bool begun = false, ended;
};
static std::deque<Thread> threads;
static jmp_buf scheduler;
static Thread* running;
static void (*call)(const void*);
static const void* kernel_called;

[[maybe_unused]] static void __syncthreads()
{
    if (!_setjmp(running->place))
        _longjmp(scheduler, 1);
}

static void run_thread()
{
    for (;;) {
        call(kernel_called);
        running->ended = true;
        __syncthreads();
    }
}

// Runs a thread from where it is to the next barrier, or to its end.
static void go_on_with(Thread& thread)
{
    if (_setjmp(scheduler))
        return;
    running = &thread;
    threadIdx = thread.index;
    if (thread.begun)
        _longjmp(thread.place, 1);
    thread.begun = true;
    thread.stack.resize(16384);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    makecontext(&thread.context, run_thread, 0);
    setcontext(&thread.context);
}

// Returns whether the kernel kept within its shared memory.
template <class Kernel> static bool run_block(const Kernel& kernel, unsigned shared_bytes)
{
    std::memcpy(shared, UNWRITTEN.data(), sizeof shared);
    call = [](const void* it) { (*static_cast<const Kernel*>(it))(); };
    kernel_called = &kernel;
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    if (threads.size() < count)
        threads.resize(count);
    for (unsigned i = 0; i < count; ++i) {
        threads[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        threads[i].ended = false;
    }
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (unsigned i = 0; i < count; ++i)
            if (!threads[i].ended) {
                go_on_with(threads[i]);
                waiting |= !threads[i].ended;
            }
    }
    return !std::memcmp(reinterpret_cast<char*>(shared) + shared_bytes, UNWRITTEN.data(), sizeof shared - shared_bytes);
}

template <bool COOPERATIVE, class Kernel>
static bool run_on_host(const unsigned* grid, const unsigned* block, unsigned shared_bytes, Kernel kernel)
{
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    bool within = true;
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
                if (COOPERATIVE)
                    within &= run_block(kernel, shared_bytes);
                else
                    for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
                        for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
                            for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x)
                                kernel();
    return within;
}
