/*  Preloaded into Redis: sets its wall clock ahead or back by as many seconds as stand in the file
 *  that CLOCK_SHIFT names. Asks the kernel itself, since an allocator looks at clocks before
 *  libraries are bound. */
#include <stdlib.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int gettimeofday (struct timeval *now, void *zone);
int clock_gettime (clockid_t clock, struct timespec *now);

static long shift_s (void)
{
    char text[32] = "";
    const char *path = getenv ("CLOCK_SHIFT");
    int fd = path ? open (path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    ssize_t n = read (fd, text, sizeof text - 1);
    close (fd);
    return n > 0 ? strtol (text, NULL, 10) : 0;
}

int clock_gettime (clockid_t clock, struct timespec *now)
{
    long rc = syscall (SYS_clock_gettime, clock, now);
    if (rc == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += shift_s ();
    return (int) rc;
}

int gettimeofday (struct timeval *now, void *zone)
{
    (void) zone;
    struct timespec t;
    int rc = clock_gettime (CLOCK_REALTIME, &t);
    *now = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return rc;
}
