/* http_listener.h - ends civetweb's listening without ending civetweb.
 *
 * civetweb 1.15 listens until mg_stop, and mg_stop drops responses that are being written: a server
 * whose clients keep coming would never be quiet enough to be stopped. And its listening thread
 * sees the stop flag every two seconds only, or when somebody connects. Both end when an eventfd
 * takes the place of the listening socket under its descriptor: whoever connects is refused by the
 * kernel, what was accepted goes on, and the listening thread can be woken.
 */
#ifndef TIFFIN_LIB_HTTP_LISTENER_H
#define TIFFIN_LIB_HTTP_LISTENER_H

/* The descriptor of this process that listens on the TCP port, -1 when none does. No other may
 * listen on the same port of another address. */
int http_listener_find(unsigned port);
/* Puts an eventfd in its place; the descriptor stays open. */
void http_listener_end(int fd);
/* After http_listener_end: poll() on the descriptor returns from now on. */
void http_listener_wake(int fd);

#endif
