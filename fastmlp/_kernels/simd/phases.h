/* What each thread of a team does with its time, counted only if built with FASTMLP_PHASES (a build for
 * measurements: two readings of the clock for each phase of a step). */
#ifndef FASTMLP_PHASES_H
#define FASTMLP_PHASES_H

enum {
    PHASE_OTHER,    /* between calls, and all that has no phase of its own */
    PHASE_LOAD,     /* rows of the batch are copied */
    PHASE_FORWARD,  /* products, activations */
    PHASE_LISTS,    /* flags and lists of live units */
    PHASE_LATE,     /* updates that had waited */
    PHASE_SCORE,    /* outputs, losses, their gradient */
    PHASE_PACK,     /* gradients are packed by panels */
    PHASE_DATA,     /* gradients by the layer's inputs */
    PHASE_UPDATE,   /* gradients of weights, and updates */
    PHASE_SUM,      /* gradients of parts are added up, and updates */
    N_PHASES
};

#ifdef FASTMLP_PHASES
#define PHASE_THREADS 64
typedef struct {
    double since, spent[N_PHASES], waited[N_PHASES];
    int at;
} __attribute__((aligned(128))) phase_counter;
static phase_counter phase_counters[PHASE_THREADS];
static inline phase_counter *own_counter(void) {
    return &phase_counters[omp_get_thread_num() % PHASE_THREADS];
}
static inline void phase(int next) {
    phase_counter *c = own_counter();
    const double now = seconds_now();
    c->spent[c->at] += now - c->since;
    c->since = now;
    c->at = next;
}
/* Time at a barrier counts as waited, not as spent. */
static inline double phase_waits(void) { return seconds_now(); }
static inline void phase_waited(double from) {
    phase_counter *c = own_counter();
    const double passed = seconds_now() - from;
    c->waited[c->at] += passed;
    c->since += passed;
}
/* Seconds of a thread in a phase since the last reset; `waited` for those at its barriers. */
static inline double phase_seconds(int thread, int which, int waited) {
    const phase_counter *c = &phase_counters[thread];
    return waited ? c->waited[which] : c->spent[which];
}
static inline void phases_reset(void) {
    memset(phase_counters, 0, sizeof phase_counters);
    for (int t = 0; t < PHASE_THREADS; t++) phase_counters[t].since = seconds_now();
}
#else
#define PHASE_THREADS 0
static inline void phase(int next) { (void)next; }
static inline double phase_waits(void) { return 0; }
static inline void phase_waited(double from) { (void)from; }
static inline double phase_seconds(int thread, int which, int waited) {
    return (void)thread, (void)which, (void)waited, 0.0;
}
static inline void phases_reset(void) {}
#endif

#endif
