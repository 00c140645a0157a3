/* socket_fd.c - see socket_fd.h. */
#include "gateway/socket_fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FD_MAX = 1 << 16 };

static int port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return -1;
}

static bool has_host(const struct sockaddr_storage *address, const char *host)
{
    char text[INET6_ADDRSTRLEN];
    const void *bytes = address->ss_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
    return inet_ntop(address->ss_family, bytes, text, sizeof text) != NULL &&
           strcmp(text, host) == 0;
}

/* Both ends: a client may use one port of its own to reach the bus and the API. */
static bool is_connection(int fd, const struct mg_request_info *info)
{
    struct sockaddr_storage peer, local;
    socklen_t peer_size = sizeof peer, local_size = sizeof local;
    return getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 &&
           port_of(&peer) == info->remote_port &&
           getsockname(fd, (struct sockaddr *)&local, &local_size) == 0 &&
           port_of(&local) == info->server_port && has_host(&peer, info->remote_addr);
}

/* Just below the lowest free descriptor lie those that were given out last: it is looked for from
 * there, downwards and upwards in turn. */
int socket_fd_of(const struct mg_connection *mg)
{
    const struct mg_request_info *info = mg_get_request_info(mg);
    const int lowest_free = eventfd(0, EFD_CLOEXEC);
    struct rlimit limit;
    if (lowest_free < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    close(lowest_free);
    const int end = limit.rlim_cur < FD_MAX ? (int)limit.rlim_cur : FD_MAX;
    for (int step = 0; step <= lowest_free || lowest_free + step < end; step++) {
        if (step <= lowest_free && is_connection(lowest_free - step, info))
            return lowest_free - step;
        if (lowest_free + step < end && is_connection(lowest_free + step, info))
            return lowest_free + step;
    }
    return -1;
}
