/* http_listener.c - see http_listener.h. */
#include "lib/http_listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"

enum { DESCRIPTORS_MAX = 1024 }; /* a server starts before its process holds many */

static bool listens_on(int fd, unsigned port)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any = {0}};
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
        return false;
    size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0)
        return false;
    if (address.any.sa_family == AF_INET)
        return ntohs(address.v4.sin_port) == port;
    return address.any.sa_family == AF_INET6 && ntohs(address.v6.sin6_port) == port;
}

int http_listener_find(unsigned port)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        if (listens_on(fd, port))
            return fd;
    return -1;
}

void http_listener_end(int fd)
{
    const int listener = dup(fd);
    const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(listener >= 0 && event >= 0);
    CHECK(dup3(event, fd, O_CLOEXEC) == fd);
    close(event);
    /* A poll() that has begun still holds the socket: this ends it. */
    shutdown(listener, SHUT_RD);
    close(listener);
}

void http_listener_wake(int fd)
{
    CHECK(write(fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t));
}
