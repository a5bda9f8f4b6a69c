/* process.c - see process.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#include <sys/syscall.h>
#endif

#include "atomics.h"

uint64_t *process_stamp_word;
static uint64_t last_time;   /* of row ids; kept over fork on purpose */
static uint64_t counter_stamp, counter;

int random_bytes(void *out, size_t size) {
#ifdef __linux__
    return getrandom(out, size, 0) == (ssize_t)size ? 0 : -1;
#else
    arc4random_buf(out, size);
    return 0;
#endif
}

static bool try_populate(void) {
#ifdef MADV_POPULATE_WRITE
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool can = page != MAP_FAILED && !madvise(page, 4096, MADV_POPULATE_WRITE);
    if (page != MAP_FAILED) munmap(page, 4096);
    return can;
#else
    return false;
#endif
}

bool can_populate(void) {
    static int known; /* 0: not yet; the answer is the kernel's and the same for all */
    if (!known) known = try_populate() ? 1 : -1;
    return known > 0;
}

static void wipe_stamp(void) { /* in the child, where the kernel's wiping is missing */
    if (process_stamp_word) store_release(process_stamp_word, 0);
}

static uint64_t *map_stamp(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
#ifdef MADV_WIPEONFORK
    (void)madvise(page, 4096, MADV_WIPEONFORK);
#endif
    pthread_atfork(NULL, NULL, wipe_stamp);
    return page;
}

uint64_t make_process_stamp(void) {
    if (!process_stamp_word) {
        process_stamp_word = map_stamp();
        if (!process_stamp_word) return 0;
    }
    uint64_t stamp = load_acquire(process_stamp_word);
    if (stamp) return stamp;
    if (random_bytes(&stamp, sizeof stamp)) stamp = (uint64_t)getpid() << 32 ^ monotonic_nanos();
    stamp |= 1;
    return compare_swap(process_stamp_word, 0, stamp) ? stamp : load_acquire(process_stamp_word);
}

static uint64_t clock_nanos(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t monotonic_nanos(void) {
    return clock_nanos(CLOCK_MONOTONIC);
}

struct row_id next_row_id(int64_t *wall) {
    uint64_t stamp = process_stamp();
    if (load_acquire(&counter_stamp) != stamp) { /* first in this process: under the GIL, or the only thread after a fork */
        uint64_t start = 0;
        if (random_bytes(&start, sizeof start)) start = stamp * 0x9e3779b97f4a7c15u;
        store_relaxed(&counter, start >> 1);
        store_release(&counter_stamp, stamp);
    }
    uint64_t now = clock_nanos(CLOCK_REALTIME), last = load_relaxed(&last_time), time;
    *wall = (int64_t)now;
    do {
        last = load_relaxed(&last_time);
        time = now > last ? now : last + 1;
    } while (!compare_swap(&last_time, last, time));
    return (struct row_id){time, fetch_add(&counter, 1)};
}

/* ---- starting the aggregator ---- */

struct launch {
    char *const *argv;
    char *const *environment;
    const char *faults;
    volatile int error, pid;
};

static void close_from(int first) {
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0) return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (limit > 0 && limit < 65536 ? (int)limit : 65536); fd++) close(fd);
}

/* In the new process. Shares the caller's memory until exec where clone is used: system calls only, no allocation, no stdio. */
static int become(void *argument) {
    struct launch *launch = argument;
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < 32; signal++) sigaction(signal, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    int null = open("/dev/null", O_RDWR);
    int faults = open(launch->faults, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(faults < 0 ? null : faults, 2) < 0 || chdir("/")) {
        launch->error = errno;
        _exit(127);
    }
    close_from(3);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(launch->argv[0], launch->argv, launch->environment);
    launch->error = errno;
    _exit(127);
}

#ifdef __linux__
#define STACK_SIZE (64u * 1024u)

/* The launcher: a process between the caller and the new one, gone before the caller goes on. */
static int launcher(void *argument) {
    struct launch *launch = argument;
    setsid();
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    launch->pid = stack == MAP_FAILED ? -1 : clone(become, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, launch);
    if (launch->pid < 0) launch->error = errno;
    if (stack != MAP_FAILED) munmap(stack, STACK_SIZE);
    _exit(0);
}

int launch_detached(char *const argv[], char *const environment[], const char *faults, int *pid) {
    struct launch launch = {argv, environment, faults, 0, 0};
    sigset_t all, before;
    sigfillset(&all);
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return errno;
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of the caller's may run in a process that shares its memory */
    /* Exit signal 0: the caller gets no SIGCHLD, and its os.wait() cannot take the launcher. */
    pid_t child = clone(launcher, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, &launch);
    if (child < 0) {
        launch.error = errno;
    } else {
        while (waitpid(child, NULL, (int)__WCLONE) < 0 && errno == EINTR) continue;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_SIZE);
    *pid = launch.pid;
    return launch.error;
}
#else
int launch_detached(char *const argv[], char *const environment[], const char *faults, int *pid) {
    struct launch launch = {argv, environment, faults, 0, 0};
    *pid = 0;
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) {
        setsid();
        pid_t next = fork();
        if (next == 0) become(&launch);
        _exit(next < 0 ? 126 : 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EAGAIN;
}
#endif
