/* slow_fsync.c - LD_PRELOAD for a database server: a disk whose every flush takes SLOW_FSYNC_US
 * longer (default 2000), as network disks do. It emulates the wait alone; the data is flushed as
 * ever. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_longer(void)
{
    const char *text = getenv("SLOW_FSYNC_US");
    const long us = text != NULL ? atol(text) : 2000;
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

typedef int flush_t(int fd);

static int flush(const char *name, int fd)
{
    flush_t *real;
    *(void **)&real = dlsym(RTLD_NEXT, name);
    const int status = real(fd);
    wait_longer();
    return status;
}

int fsync(int fd);
int fsync(int fd)
{
    return flush("fsync", fd);
}

int fdatasync(int fd);
int fdatasync(int fd)
{
    return flush("fdatasync", fd);
}
