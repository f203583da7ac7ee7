/* Memory, barriers, time. */
#ifndef FASTMLP_MEMORY_H
#define FASTMLP_MEMORY_H

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <malloc.h>
#include <windows.h>
#undef near /* words of 16-bit days, which it still defines */
#undef far
#else
#include <sched.h>
#include <time.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(_WIN32)
static inline void *aligned_bytes(size_t align, size_t bytes) {
    return _aligned_malloc(bytes, align);
}
static inline void block_free(void *base) { _aligned_free(base); }
static inline void yield_processor(void) { SwitchToThread(); }
static inline double seconds_now(void) {
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
}
#else
static inline void *aligned_bytes(size_t align, size_t bytes) {
    void *p = NULL;
    return posix_memalign(&p, align, bytes) ? NULL : p;
}
static inline void block_free(void *base) { free(base); }
static inline void yield_processor(void) { sched_yield(); }
static inline double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif

#include "phases.h"

/* Memory on a cache line's boundary, for the caller to fill with zeros; large blocks in 2 MiB pages, for rows of a few
 * kilobytes would otherwise miss the TLB at every step. `skew` bytes in front keep arrays that
 * are walked together out of one another's cache sets. NULL when there is none; `base`, of `all`
 * bytes, is what block_free takes. */
static void *block_alloc(size_t bytes, size_t skew, void **base, size_t *all) {
    const size_t huge = (size_t)1 << 21;
    const size_t align = bytes >= huge ? huge : 64;
#if defined(__SANITIZE_ADDRESS__) /* not a byte more, for it to notice who goes beyond */
    const size_t total = bytes;
    skew = 0;
#else
    const size_t total = (bytes + skew + align - 1) / align * align;
#endif
    void *p = total < bytes ? NULL : aligned_bytes(align, total);
    *base = p;
    *all = total;
    if (p == NULL) return NULL;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= huge) madvise(p, total, MADV_HUGEPAGE);
#endif
    return (char *)p + skew;
}

/* Where the threads of a team wait for one another. A step has a dozen of these, microseconds
 * apart, so a thread spins first; but where processors are short, the one awaited needs this
 * one's, so it soon yields. */
typedef struct {
    int arrived, phase;
} barrier;

static inline void barrier_open(barrier *b) {
    __atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
    const unsigned phase = (unsigned)__atomic_load_n(&b->phase, __ATOMIC_RELAXED);
    __atomic_store_n(&b->phase, (int)(phase + 1), __ATOMIC_RELEASE);
}

/* Note that the caller has come, without waiting; returns what barrier_wait takes later. */
static inline int barrier_arrive(barrier *b, int n_threads) {
    const int phase = __atomic_load_n(&b->phase, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == n_threads) barrier_open(b);
    return phase;
}

static inline void barrier_wait(barrier *b, int phase) {
    const double from = phase_waits();
    for (int spins = 0; __atomic_load_n(&b->phase, __ATOMIC_ACQUIRE) == phase; spins++) {
        if (spins > 600) yield_processor();
#if defined(__x86_64__)
        else __builtin_ia32_pause();
#elif defined(__aarch64__)
        else __asm__ volatile("yield");
#endif
    }
    phase_waited(from);
}

static inline void team_barrier(barrier *b, int n_threads) {
    if (n_threads > 1) barrier_wait(b, barrier_arrive(b, n_threads));
}

/* Wait for the others, unless the caller is the last to come: then returns 1 and the others wait
 * on until it calls barrier_open. So what one thread does for all between two barriers costs one. */
static inline int barrier_last(barrier *b, int n_threads) {
    const int phase = __atomic_load_n(&b->phase, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == n_threads) return 1;
    barrier_wait(b, phase);
    return 0;
}

/* Flags that several threads may lower at the same time, and that are read past a barrier. */
static inline void lower(int *flag) { __atomic_store_n(flag, 0, __ATOMIC_RELAXED); }

static inline int take_ticket(int *counter) {
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Signals in the midst of long work. The first thread of a team asks the interpreter for them a few
 * times a second; once it is to stop, all threads pass over what is left of the work, but meet at
 * the same barriers as ever. `on` changes only where nobody asks. */
#define LOOK_SECONDS 0.05
typedef struct watch {
    int on;        /* whether the work is long enough for that */
    int cancelled; /* whether it is to stop; the first thread alone sets it */
    double next;   /* when to ask */
    int (*look)(void *signals);
    void *signals;
} watch;

static inline int stopped(watch *w) {
    if (!w->on) return 0;
    if (__atomic_load_n(&w->cancelled, __ATOMIC_RELAXED)) return 1;
    if (omp_get_thread_num() != 0) return 0;
    const double now = seconds_now();
    if (now < w->next) return 0;
    w->next = now + LOOK_SECONDS;
    if (!w->look(w->signals)) return 0;
    __atomic_store_n(&w->cancelled, 1, __ATOMIC_RELAXED);
    return 1;
}

#endif
