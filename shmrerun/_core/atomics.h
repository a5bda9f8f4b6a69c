/* atomics.h - names for the C11 orders that lanes use, on plain words of a shared mapping. */
#ifndef SHMRERUN_ATOMICS_H
#define SHMRERUN_ATOMICS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "words must be lock-free between processes");

static inline uint64_t load_acquire(const uint64_t *word) {
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)word, memory_order_acquire);
}
static inline uint64_t load_relaxed(const uint64_t *word) {
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)word, memory_order_relaxed);
}
static inline void store_release(uint64_t *word, uint64_t value) {
    atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_release);
}
static inline void store_relaxed(uint64_t *word, uint64_t value) {
    atomic_store_explicit((_Atomic uint64_t *)word, value, memory_order_relaxed);
}
static inline uint64_t fetch_add(uint64_t *word, uint64_t value) {
    return atomic_fetch_add_explicit((_Atomic uint64_t *)word, value, memory_order_seq_cst);
}
static inline bool compare_swap(uint64_t *word, uint64_t expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit((_Atomic uint64_t *)word, &expected, desired, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}
static inline uint32_t load32_acquire(const uint32_t *word) {
    return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)word, memory_order_acquire);
}
static inline uint32_t load32_relaxed(const uint32_t *word) {
    return atomic_load_explicit((_Atomic uint32_t *)(uintptr_t)word, memory_order_relaxed);
}
static inline void store32_release(uint32_t *word, uint32_t value) {
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_release);
}
static inline uint32_t exchange32(uint32_t *word, uint32_t value) {
    return atomic_exchange_explicit((_Atomic uint32_t *)word, value, memory_order_seq_cst);
}
static inline void full_fence(void) {
    atomic_thread_fence(memory_order_seq_cst);
}

#endif
