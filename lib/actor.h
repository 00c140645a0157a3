/* actor.h - the life of a process: one loop over sockets, descriptors and timers; signals; draining.
 *
 * Signals are blocked before the first thread and read from a signalfd, since czmq's own handler ends loops on any signal.
 * SIGPIPE is ignored. First SIGTERM or SIGINT: on_drain is called once, the loop goes on until idle() says true or
 * drain_timeout_ms passed, then actor_run returns. Second SIGTERM: the process exits at once.
 */
#ifndef TIFFIN_LIB_ACTOR_H
#define TIFFIN_LIB_ACTOR_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct actor actor_t;
typedef void(actor_fn)(void *arg);

/* First thing in main, before any thread or socket. */
void actor_process_init(void);

actor_t *actor_new(void);
void actor_destroy(actor_t **self_p);

/* `handler` is called whenever there is something to read (level-triggered). */
void actor_add_socket(actor_t *self, zsock_t *socket, actor_fn *handler, void *arg);
void actor_remove_socket(actor_t *self, zsock_t *socket);
void actor_add_fd(actor_t *self, int fd, actor_fn *handler, void *arg);
void actor_remove_fd(actor_t *self, int fd);
/* Every interval_ms from now on. Returns an id for actor_remove_timer. */
int actor_add_timer(actor_t *self, unsigned interval_ms, actor_fn *handler, void *arg);
void actor_remove_timer(actor_t *self, int timer);

/* How a SIGTERM is carried out. Either may be NULL: nothing to do, idle at once. */
void actor_set_drain(actor_t *self, actor_fn *on_drain, bool (*idle)(void *arg), void *arg, unsigned drain_timeout_ms);
bool actor_draining(const actor_t *self);
/* As if SIGTERM had come (tests, fatal conditions). */
void actor_stop(actor_t *self);
/* Runs until drained. 0, or 1 when the drain timed out. */
int actor_run(actor_t *self);

#endif
