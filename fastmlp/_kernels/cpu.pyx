# cython: language_level=3, freethreading_compatible=True
"""What this processor can run, and how many threads the OpenMP runtime would."""

cdef extern from "omp.h":
    int omp_get_max_threads()

cdef extern from *:
    """
    #if defined(__x86_64__)
    #include <cpuid.h>
    /* By the instruction itself: what __builtin_cpu_supports reads is no part of every runtime.
     * Features are of leaf 7; `saved` are the registers that the system keeps for each thread. */
    static int cpu_has(unsigned features, unsigned saved) {
        unsigned a, b, c, d, low, high;
        const unsigned fma_and_osxsave = 1u << 12 | 1u << 27;
        if (!__get_cpuid(1, &a, &b, &c, &d) || (c & fma_and_osxsave) != fma_and_osxsave) return 0;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        if ((low & saved) != saved || __get_cpuid_max(0, NULL) < 7) return 0;
        __cpuid_count(7, 0, a, b, c, d);
        return (b & features) == features;
    }
    #else
    static int cpu_has(unsigned features, unsigned saved) { return 0; }
    #endif
    static int cpu_has_avx2(void) { return cpu_has(1u << 5, 0x06); }
    static int cpu_has_avx512(void) {  /* F, DQ, BW and VL, beside AVX2 */
        return cpu_has(1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, 0xE6);
    }
    static int cpu_is_arm64(void) {
    #if defined(__aarch64__)
        return 1;
    #else
        return 0;
    #endif
    }
    """
    bint cpu_has_avx2()
    bint cpu_has_avx512()
    bint cpu_is_arm64()


def supported_isas():
    """Return the names of the instruction sets this processor runs, the fastest first."""
    names = []
    if cpu_has_avx512():
        names.append("avx512")
    if cpu_has_avx2():
        names.append("avx2")
    if cpu_is_arm64():
        names.append("neon")
    names.append("baseline")
    return tuple(names)


def omp_max_threads():
    """Return how many threads the OpenMP runtime would give the calling thread."""
    return omp_get_max_threads()
