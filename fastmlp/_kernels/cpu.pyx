# cython: language_level=3
"""What this processor can run, and how many threads the OpenMP runtime would."""

cdef extern from "omp.h":
    int omp_get_max_threads()

cdef extern from *:
    """
    static int cpu_has_avx2(void) {
    #if defined(__x86_64__)
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    #else
        return 0;
    #endif
    }
    static int cpu_has_avx512(void) {
    #if defined(__x86_64__)
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    #else
        return 0;
    #endif
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
