/* sim_due.c - a timerfd on the wall clock, since due times outlive the process, and an eventfd by
 * which other threads say that there may be a refund that is due before. Only the loop sets the
 * timer: no two threads race for it. */
#include "services/psp_sim/sim_due.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"

struct sim_due {
    actor_t *actor;
    sim_bank_t *bank;
    sim_due_fn *on_concluded;
    void *arg;
    int timer_fd, wake_fd;
    bool stopped; /* loop only */
};

/* INT64_MAX: never. */
static void arm(sim_due_t *self, int64_t due_us)
{
    struct itimerspec when = {0};
    if (due_us != INT64_MAX) {
        when.it_value.tv_sec = due_us / 1000000;
        when.it_value.tv_nsec = due_us % 1000000 * 1000 + 1; /* not zero: zero would disarm it */
    }
    CHECK(timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

/* What is due is seen at the bank: how often it was said does not matter. */
static void take_count(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got;
}

static void on_either(void *arg)
{
    sim_due_t *self = arg;
    take_count(self->timer_fd);
    take_count(self->wake_fd);
    if (self->stopped)
        return;
    sim_refund_t refund;
    int64_t next_due_us;
    while (sim_refund_conclude(self->bank, clock_wall_us(), &refund, &next_due_us))
        self->on_concluded(self->arg, &refund);
    arm(self, next_due_us);
}

sim_due_t *sim_due_new(actor_t *actor, sim_bank_t *bank, sim_due_fn *on_concluded, void *arg)
{
    sim_due_t *self = calloc(1, sizeof *self);
    CHECK(self);
    *self = (sim_due_t){.actor = actor, .bank = bank, .on_concluded = on_concluded, .arg = arg};
    self->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    self->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->timer_fd >= 0 && self->wake_fd >= 0);
    actor_add_fd(actor, self->timer_fd, on_either, self);
    actor_add_fd(actor, self->wake_fd, on_either, self);
    sim_due_wake(self);
    return self;
}

void sim_due_destroy(sim_due_t **self_p)
{
    sim_due_t *self = *self_p;
    if (!self)
        return;
    actor_remove_fd(self->actor, self->timer_fd);
    actor_remove_fd(self->actor, self->wake_fd);
    close(self->timer_fd);
    close(self->wake_fd);
    free(self);
    *self_p = NULL;
}

void sim_due_wake(sim_due_t *self)
{
    CHECK(write(self->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t));
}

void sim_due_stop(sim_due_t *self)
{
    self->stopped = true;
}
